"""Accounts on hand-made bars: a strategy that acts by a plan, and what its account kept, as a test writes it down.

Times are text: `12:01` on DAY, `2024-01-05T21:00` on other days, with seconds where there are any. Money is compared in
whole units of 1e-8, prices and quantities to nine places.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from stratd.data.calendars import CalendarTable
from stratd.data.intake import Reject
from stratd.execution.records import Charged, Intent, OrderEnded, Refused, RiskChanged
from stratd.execution.rules import AccountRules, AtEnd, FillRule
from stratd.model import MONEY, Fill, Instrument, Interval, Order, Trade
from stratd.risk.limits import RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.context import StrategyContext
from stratd.system.calendars import load_calendar
from stratd.testing.bars import BarRow, bars, nanoseconds

from .row_feed import merged
from .spine import Spine, lines, market

DAY = "2024-01-02"  # a Tuesday
CAPITAL = 100_000.0
ANY = 0  # an order's number that a test leaves open
AAA = Instrument("AAA", tick=0.01)
BBB = Instrument("BBB", tick=0.01)
# Window and minutes in a block. Every session is played with all of these, and must come out the same.
SIZES = ((4096, 4096), (1, 1), (2, 3))

Act = Callable[[StrategyContext], object]
Plan = Mapping[str, Act | Sequence[Act]]


def order(side: str, quantity: float, symbol: str = "AAA", **terms: Any) -> Act:
    """Give an order."""
    return lambda ctx: ctx.order(symbol, side, quantity, **terms)


def cancel(order_id: int) -> Act:
    """Cancel an order."""
    return lambda ctx: ctx.cancel(order_id)


def amend(order_id: int, **changes: Any) -> Act:
    """Change an order."""
    return lambda ctx: ctx.amend(order_id, **changes)


def working(ctx: StrategyContext) -> object:
    """Look at the orders that work or are held: number, quantity, filled."""
    return [(one.id, one.quantity, one.filled) for one in ctx.orders()]


def held(ctx: StrategyContext) -> object:
    """Look at what is held of AAA: quantity and average price."""
    position = ctx.position("AAA")
    return number(position.quantity), number(position.average_price)


def state(ctx: StrategyContext) -> object:
    """Look at the trading state."""
    return str(ctx.trading_state)


def nothing(ctx: StrategyContext) -> object:
    """Only be there."""
    return None


def number(value: float) -> float:
    """A price or quantity as it is compared."""
    return round(float(value), 9)


def units(money: float) -> int:
    """Money as it is compared: in units of 1e-8."""
    return round(money * MONEY)


def ns(clock: str) -> int:
    """A time of a plan as int64 ns UTC."""
    return nanoseconds(clock if "T" in clock else f"{DAY}T{clock}")


def clock(time_ns: int) -> str:
    """The other way round."""
    seconds, rest = divmod(int(time_ns), 1_000_000_000)
    assert rest == 0, f"{time_ns} is not a whole second"
    moment = datetime.fromtimestamp(seconds, UTC)
    text = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    return text if f"{moment:%Y-%m-%d}" == DAY else f"{moment:%Y-%m-%d}T{text}"


class Filled(NamedTuple):
    """A fill. Money in units."""

    order: int
    time: str
    side: str
    quantity: float
    price: float
    fee: int
    maker: bool
    symbol: str


def fill(
    order: int,
    time: str,
    side: str,
    quantity: float,
    price: float,
    *,
    fee: float = 0.0,
    maker: bool = False,
    symbol: str = "AAA",
) -> Filled:
    """A fill that is expected; `fee` in the account's currency."""
    return Filled(order, time, side, number(quantity), number(price), units(fee), maker, symbol)


class Traded(NamedTuple):
    """A round trip. Money in units; `mae`, `mfe` and `bars` are None where the ADR leaves them open."""

    side: str
    quantity: float
    entry_time: str
    exit_time: str
    entry_price: float
    exit_price: float
    pnl: int
    fees: int
    mae: int | None
    mfe: int | None
    bars: int | None
    symbol: str


def trade(
    side: str,
    quantity: float,
    times: tuple[str, str],
    prices: tuple[float, float],
    *,
    pnl: float,
    mae: float | None,
    mfe: float | None,
    bars: int | None,
    fees: float = 0.0,
    symbol: str = "AAA",
) -> Traded:
    """A round trip that is expected: times and prices of entry and exit; money in the account's currency."""
    entry, exit_ = map(number, prices)
    worst, best = (None if money is None else units(money) for money in (mae, mfe))
    return Traded(side, number(quantity), *times, entry, exit_, units(pnl), units(fees), worst, best, bars, symbol)


class Refusal(NamedTuple):
    """An order that was not let through."""

    time: str
    side: str
    quantity: float
    reason: str
    symbol: str = "AAA"


class Charge(NamedTuple):
    """Borrow or financing. Money in units."""

    day: str
    symbol: str
    amount: int
    kind: str
    days: int


def charge(day: str, symbol: str, amount: float, kind: str, days: int) -> Charge:
    """A charge that is expected; `amount` in the account's currency."""
    return Charge(day, symbol, units(amount), kind, days)


@dataclass
class Ledger:
    """What an account kept of a session, in order.

    Attributes:
        orders: what was let through, by number, as it stood then.
        ended: state and filled quantity of orders that ended, by number; `ended_at`: when.
        states: time and trading state of every change.
        answers: what the plan's acts returned, in order.
        seen: callbacks: `12:02 fill 1`, `12:02 bars AAA 1m`.
        equity: in units, by close time of the steps at which it was recorded.
        cash, realised, unrealised, fees, financing, final_equity: at the end, in units.
        positions: quantity and average price at the end, by symbol.
    """

    capital: float
    kept: tuple[object, ...]
    hash: str
    orders: dict[int, Order] = field(default_factory=dict)
    fills: list[Filled] = field(default_factory=list)
    trades: list[Traded] = field(default_factory=list)
    ended: dict[int, tuple[str, float]] = field(default_factory=dict)
    ended_at: dict[int, str] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    equity: dict[str, int] = field(default_factory=dict)
    positions: dict[str, tuple[float, float]] = field(default_factory=dict)
    cash: int = 0
    realised: int = 0
    unrealised: int = 0
    fees: int = 0
    financing: int = 0
    final_equity: int = 0

    def take(self, kept: object) -> None:
        """Put one event where it belongs."""
        if isinstance(kept, Intent):
            self.orders[kept.order.id] = kept.order
        elif isinstance(kept, Fill):
            quantity, price = number(kept.quantity), number(kept.price)
            side, fee = str(kept.side), units(kept.fee)
            self.fills.append(Filled(kept.order_id, clock(kept.time), side, quantity, price, fee, kept.is_maker, kept.symbol))
        elif isinstance(kept, Trade):
            self.trades.append(
                Traded(
                    *(str(kept.side), number(kept.quantity), clock(kept.entry_time), clock(kept.exit_time)),
                    *(number(kept.entry_price), number(kept.exit_price), units(kept.pnl), units(kept.fees)),
                    *(units(kept.mae), units(kept.mfe), kept.bars_held, kept.symbol),
                )
            )
        elif isinstance(kept, OrderEnded):
            assert kept.order_id not in self.ended, f"order {kept.order_id} has ended twice"
            self.ended[kept.order_id] = (str(kept.state), number(kept.filled))
            self.ended_at[kept.order_id] = clock(kept.time)
        elif isinstance(kept, Refused):
            self.refusals.append(Refusal(clock(kept.time), str(kept.side), number(kept.quantity), str(kept.reason), kept.symbol))
        elif isinstance(kept, RiskChanged):
            self.states.append((clock(kept.time), str(kept.state)))
        elif isinstance(kept, Charged):
            day = f"{datetime.fromtimestamp(kept.time // 1_000_000_000, UTC):%Y-%m-%d}"
            symbol = kept.symbol if kept.kind == "borrow" else ""  # cash has no symbol
            self.charges.append(Charge(day, symbol, units(kept.amount), str(kept.kind), kept.days))


class Actor(Strategy[Any]):
    """Does what its plan says: at the first bar of each time, and at the first fill of an order (`fill 1`)."""

    plan: ClassVar[Plan] = {}
    streams: ClassVar[Sequence[tuple[str, str]]] = ()
    watched: ClassVar[Sequence[tuple[str, str]]] = ()

    def setup(self, ctx: StrategyContext) -> None:
        self.seen: list[str] = []
        self.answers: list[object] = []
        self.left = {key if key.startswith("fill ") else clock(ns(key)): acts for key, acts in self.plan.items()}
        for symbols, interval in self.streams:
            ctx.subscribe(symbols, interval)
        for symbols, interval in self.watched:
            ctx.watch(symbols, interval)

    def act(self, key: str) -> None:
        acts = self.left.pop(key, ())
        for one in (acts,) if callable(acts) else acts:
            self.answers.append(one(self.ctx))

    def on_fill(self, fill: Fill) -> None:
        self.seen.append(f"{clock(self.ctx.now)} fill {fill.order_id}")
        self.act(f"fill {fill.order_id}")

    def on_bars(self, symbol: str, interval: object) -> None:
        now = clock(self.ctx.now)
        self.seen.append(f"{now} bars {symbol} {interval}")
        self.act(now)


@functools.cache
def _calendar(name: str, extended_hours: bool) -> CalendarTable:
    return load_calendar(name, extended_hours)


def rows_of(text: str, symbols: Sequence[str]) -> list[BarRow]:
    """Bars of a text (see `stratd.testing.bars`) in feed order."""
    rows = bars(text, symbol=symbols[0], day=DAY)
    return merged([[row for row in rows if row.symbol == symbol] for symbol in symbols], symbols)


def play(
    text: str | Sequence[BarRow],
    plan: Plan | type[Actor],
    *,
    rules: AccountRules | None = None,
    limits: RiskLimits | None = None,
    streams: Sequence[tuple[str, str]] = (("*", "1m"),),
    watched: Sequence[tuple[str, str]] = (),
    instruments: Sequence[Instrument] = (AAA,),
    sizes: Sequence[tuple[int, int]] = SIZES,
    rejected: int = 0,
) -> Ledger:
    """Play bars to a strategy that acts by a plan, once for each of `sizes`. All must come out the same.

    Args:
        text: bars; a line names its symbol unless it is the first instrument's. Or rows in feed order.
        plan: what to do when; or a strategy.
        rules: 100,000 of capital, no costs and the ADR's defaults unless given.
        streams, watched: what the strategy subscribes to and watches.
        sizes: windows and minutes in a block.
        rejected: how many rows are not used. A bar that a test has written wrongly must not go unnoticed.
    """
    played = [_play(text, plan, rules, limits, streams, watched, instruments, rejected, *size) for size in sizes]
    for size, other in zip(sizes[1:], played[1:], strict=True):
        assert other == played[0], f"window and block {size} give another ledger than {sizes[0]}"
    return played[0]


def _play(
    text: str | Sequence[BarRow],
    plan: Plan | type[Actor],
    rules: AccountRules | None,
    limits: RiskLimits | None,
    streams: Sequence[tuple[str, str]],
    watched: Sequence[tuple[str, str]],
    instruments: Sequence[Instrument],
    rejected: int,
    window: int,
    block: int,
) -> Ledger:
    symbols = [one.symbol for one in instruments]
    calendars = list(dict.fromkeys((one.calendar, one.extended_hours) for one in instruments))
    offered = market(
        symbols,
        sorted({"1m", *(interval for _, interval in (*streams, *watched))}, key=lambda text: Interval(text).minutes),
        tables=[_calendar(*one) for one in calendars],
        calendar_of={one.symbol: calendars.index((one.calendar, one.extended_hours)) for one in instruments},
    )
    spine = Spine(replace(offered, instruments={one.symbol: one for one in instruments}), window=window, block=block)
    if isinstance(plan, Mapping):
        plan = type("Planned", (Actor,), {"plan": plan})
    kind = type("Streaming", (plan,), {"streams": streams, "watched": watched})
    rules = AccountRules(allocated_capital=CAPITAL) if rules is None else rules
    thread = spine.thread(kind, rules=rules, limits=RiskLimits() if limits is None else limits, sizing=None)
    spine.run(rows_of(text, symbols) if isinstance(text, str) else text)
    assert thread.errors == 0, lines(thread).of("strategy raised")
    counts = {kind.label: int(spine.rejects.counts[kind]) for kind in Reject if kind is not Reject.USED}
    assert sum(counts.values()) == rejected, counts
    strategy, account = thread.strategy, thread.account
    assert isinstance(strategy, Actor)
    assert account is not None
    assert not strategy.left, f"never came: {list(strategy.left)}"
    made = Ledger(rules.allocated_capital, tuple(account.kept), account.ledger_hash())
    for kept in account.kept:
        made.take(kept)
    told, filled = [line.rsplit(" ", 1)[1] for line in strategy.seen if " fill " in line], [str(one.order) for one in made.fills]
    # What happens after the strategy's last event, it is not told: a position that is closed at the end, for one.
    assert told == filled[: len(told)], f"on_fill was called for {told}, and filled were {filled}"
    if rules.at_end is AtEnd.MARK and rules.fill is FillRule.NEXT_OPEN and ("*", "1m") in streams:
        assert told == filled, f"on_fill was called for {told}, and filled were {filled}"
    times, equity = account.points
    final = account.final
    made.answers, made.seen = strategy.answers, strategy.seen
    made.equity = {clock(time): amount for time, amount in zip(times.tolist(), equity.tolist(), strict=True)}
    assert len(made.equity) == len(times), "equity is recorded once for a step"
    made.positions = {
        one.symbol: (number(one.quantity), number(one.average_price)) for one in final.positions() if one.quantity != 0
    }
    made.cash, made.realised, made.unrealised = units(final.cash), units(final.realised_pnl), units(final.unrealised_pnl)
    made.fees, made.financing, made.final_equity = units(final.fees), units(final.financing), units(final.equity)
    return made


def expect(
    ledger: Ledger,
    *,
    fills: Sequence[Filled],
    cash: float,
    realised: float = 0.0,
    unrealised: float = 0.0,
    fees: float = 0.0,
    financing: float = 0.0,
    trades: Sequence[Traded] = (),
    refused: Sequence[str] = (),
) -> None:
    """Compare all that there is of fills, trades, refusals (their reasons) and money. What is left out is expected to be nothing."""
    got_fills = list(ledger.fills)
    for at, one in enumerate(fills[: len(got_fills)]):
        if one.order == ANY:
            got_fills[at] = got_fills[at]._replace(order=ANY)
    assert got_fills == list(fills), _difference("fills", got_fills, fills)
    got_trades = list(ledger.trades)
    for at, wanted in enumerate(trades[: len(got_trades)]):
        if wanted.mae is None:
            got_trades[at] = got_trades[at]._replace(mae=None)
        if wanted.mfe is None:
            got_trades[at] = got_trades[at]._replace(mfe=None)
        if wanted.bars is None:
            got_trades[at] = got_trades[at]._replace(bars=None)
    assert got_trades == list(trades), _difference("trades", got_trades, trades)
    reasons = [one.reason for one in ledger.refusals]
    assert reasons == list(refused), _difference("refusals", reasons, refused)
    money = {
        "cash": cash,
        "realised": realised,
        "unrealised": unrealised,
        "fees": fees,
        "financing": financing,
        "final_equity": ledger.capital + realised + unrealised - fees - financing,
    }
    got_money = {name: getattr(ledger, name) for name in money}
    wanted_money = {name: units(amount) for name, amount in money.items()}
    assert got_money == wanted_money, _difference("money in units", got_money.items(), wanted_money.items())


def _difference(what: str, got: Iterable[object], wanted: Iterable[object]) -> str:
    """Both sides, line by line: assertions outside of test files do not say."""
    return "\n".join([f"{what} are", *map(str, got), "and were expected to be", *map(str, wanted)])
