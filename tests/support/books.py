"""Several strategies of one book on hand-made bars: each acts by a plan, and what its account kept comes back as a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stratd.data.event_log import Segment
from stratd.execution.book import Book, BookRules
from stratd.execution.rules import AccountRules
from stratd.model import Instrument
from stratd.portfolio.cells import P_LOTS, P_SYMBOL
from stratd.risk.limits import RiskLimits
from stratd.strategy.thread import StrategyThread, ThreadPolicy
from stratd.testing.bars import BarRow

from .ledgers import AAA, Actor, Ledger, Plan, clock, rows_of, units
from .spine import Spine, market

CAPITAL = 10_000.0


@dataclass
class Played:
    """What a session with a book came to.

    Attributes:
        ledgers: by strategy. `net_lots`: after each step, as the book has them. `differs`: steps at which accounts had other sums.
        refused: by strategy, how many orders were refused, by reason.
    """

    spine: Spine
    book: Book
    ledgers: dict[str, Ledger]
    threads: dict[str, StrategyThread]
    net_lots: dict[str, list[int]]
    differs: list[str]
    refused: dict[str, dict[str, int]]

    @property
    def hashes(self) -> list[str]:
        """What must be the same however the session was cut up."""
        return [f"{name} {one.hash} {one.kept} {one.answers} {one.equity}" for name, one in self.ledgers.items()]


def play_book(
    text: str | Sequence[BarRow],
    plans: Mapping[str, Plan | type[Actor]],
    book: BookRules,
    *,
    rules: AccountRules | Mapping[str, AccountRules] | None = None,
    limits: RiskLimits | None = None,
    streams: Sequence[tuple[str, str]] | Mapping[str, Sequence[tuple[str, str]]] = (("*", "1m"),),
    instruments: Sequence[Instrument] = (AAA,),
    block: int = 4,
    timeout: float = 20.0,
    max_errors: int = 0,
    asleep: bool = False,
    prepare: Callable[[Spine], object] = lambda spine: None,
) -> Played:
    """Play bars to strategies that act by their plans, in the order of `plans`.

    Each has 10,000 and no costs unless `rules` say otherwise. With `asleep` the book never decides; `prepare` is called
    before anything starts.
    """
    symbols = [one.symbol for one in instruments]
    offered = replace(market(symbols, ["1m"]), instruments={one.symbol: one for one in instruments})
    spine = Spine(offered, block=block, book=book, timeout=timeout)
    threads: dict[str, StrategyThread] = {}
    for name, plan in plans.items():
        kind = plan if isinstance(plan, type) else type("Planned", (Actor,), {"plan": plan})
        kind = type("Streaming", (kind,), {"streams": streams[name] if isinstance(streams, Mapping) else streams})
        own = rules.get(name) if isinstance(rules, Mapping) else rules
        threads[name] = spine.thread(
            kind,
            name,
            ThreadPolicy(max_errors=max_errors),
            rules=own or AccountRules(allocated_capital=CAPITAL),
            limits=limits or RiskLimits(),
        )
    rows = rows_of(text, symbols) if isinstance(text, str) else text
    processor = spine.build_rows(rows)
    made = spine.book
    assert made is not None
    net_lots: dict[str, list[int]] = {}
    differs: list[str] = []

    def at_rest(segment: Segment, start: int, stop: int) -> None:
        if asleep:
            return
        made.at_rest(segment, start, stop)
        time = clock(segment.close_time.item(stop - 1))
        net_lots[time] = made.positions.net.tolist()
        if net_lots[time] != summed(spine, len(symbols)):
            differs.append(time)

    spine.gate._at_rest = at_rest
    prepare(spine)
    spine.strategies.start()
    processor.start()
    assert processor.join(30)
    assert processor.error is None, processor.error
    assert spine.strategies.join(30) == []
    spine.rejects.close()
    return Played(
        spine,
        made,
        {name: _ledger(thread) for name, thread in threads.items()},
        threads,
        net_lots,
        differs,
        {name: {str(why): count for why, count in thread.account.refusals.items()} for name, thread in threads.items()},
    )


def summed(spine: Spine, symbols: int) -> list[int]:
    """Lots of each symbol, added up over the accounts themselves."""
    total = [0] * symbols
    for thread in spine.threads:
        account = thread.account
        assert account is not None
        if account.active:
            for row in account.positions[: len(account.positions) // 2].tolist():
                total[row[P_SYMBOL]] += row[P_LOTS]
    return total


def _ledger(thread: StrategyThread) -> Ledger:
    account: Any = thread.account
    made = Ledger(account.rules.allocated_capital, tuple(account.kept), account.ledger_hash())
    for kept in account.kept:
        made.take(kept)
    times, equity = account.points
    made.equity = {clock(time): amount for time, amount in zip(times.tolist(), equity.tolist(), strict=True)}
    if isinstance(thread.strategy, Actor):
        made.answers, made.seen = thread.strategy.answers, thread.strategy.seen
    final = account.final
    made.cash, made.fees, made.final_equity = units(final.cash), units(final.fees), units(final.equity)
    return made
