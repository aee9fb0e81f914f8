"""A scripted strategy that also looks at its account at every event, and what its account kept, sorted for invariants."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from stratd.execution.records import Amended, Intent, OrderEnded
from stratd.model import MINUTE_NS, Fill, Instrument, Interval, Order
from stratd.portfolio.portfolio import Portfolio
from stratd.strategy.thread import StrategyThread
from stratd.testing.bars import BarRow

from .plain_numbers import exact
from .plain_run import Scripted, run_engine
from .plain_types import Case


@dataclass
class Look:
    """What the strategy saw at an event."""

    now: int
    portfolio: Portfolio
    orders: tuple[Order, ...]


class Watching(Scripted):
    """Looks before it acts."""

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.looks: list[Look] = getattr(self, "looks", [])
        self.looks.append(Look(self.ctx.now, self.ctx.portfolio, self.ctx.orders()))
        super().on_bars(symbol, interval)

    def on_fill(self, fill: Fill) -> None:
        self.told: list[tuple[int, Fill]] = getattr(self, "told", [])
        self.told.append((self.ctx.now, fill))
        super().on_fill(fill)


@dataclass
class Life:
    """What an account kept of one order. Quantities in lots.

    Attributes:
        largest: the most that it was ever asked to fill.
        fills: with their places among the events.
        ended: with their places likewise.
    """

    order: Order
    place: int
    largest: int
    fills: list[tuple[int, Fill]] = field(default_factory=list)
    ended: list[tuple[int, OrderEnded]] = field(default_factory=list)


class Watched:
    """An account's session, looked through."""

    def __init__(self, case: Case, thread: StrategyThread) -> None:
        self.case, self.account = case, thread.account
        strategy = thread.strategy
        self.looks: list[Look] = getattr(strategy, "looks", [])
        self.told: list[tuple[int, Fill]] = getattr(strategy, "told", [])
        self.instruments = {one.symbol: one for one in case.instruments}
        self.kept = list(thread.account.kept)
        self.lives: dict[int, Life] = {}
        for place, event in enumerate(self.kept):
            if isinstance(event, Intent):
                one = event.order
                self.lives[one.id] = Life(one, place, self.lots(one.symbol, one.quantity))
            elif isinstance(event, Fill):
                self.lives[event.order_id].fills.append((place, event))
            elif isinstance(event, OrderEnded):
                self.lives[event.order_id].ended.append((place, event))
            elif isinstance(event, Amended) and event.quantity is not None:
                life = self.lives[event.order_id]
                life.largest = max(life.largest, self.lots(life.order.symbol, event.quantity))

    @property
    def fills(self) -> list[Fill]:
        return [one for one in self.kept if isinstance(one, Fill)]

    def lots(self, symbol: str, quantity: float) -> int:
        """A quantity in lots; it must be whole lots."""
        lots = quantity / float(exact(self.instrument(symbol).lot))
        assert abs(lots - round(lots)) < 1e-6, f"{quantity} of {symbol} is no whole number of lots"
        return round(lots)

    def instrument(self, symbol: str) -> Instrument:
        return self.instruments[symbol]

    def signed(self, fill: Fill) -> int:
        return self.lots(fill.symbol, fill.quantity) * (1 if fill.side == "buy" else -1)

    def reduces(self, order: Order) -> bool:
        return order.reduce_only or bool(order.parent) or (order.side == "sell" and not self.case.rules.allow_short)

    def filled(self, order_id: int) -> int:
        return sum(self.lots(fill.symbol, fill.quantity) for _, fill in self.lives[order_id].fills)

    def bars_of(self, fill: Fill) -> list[BarRow]:
        """The bars in which a fill of this time may be: one that opens then, or one that closes then."""
        return [
            row for row in self.case.rows if row.symbol == fill.symbol and fill.time in (row.open_time, row.open_time + MINUTE_NS)
        ]

    def told_in(self) -> dict[tuple[str, int], list[Fill]]:
        """Fills by symbol and the open time of their bar, for a strategy that has every 1m bar: told in the step of that bar."""
        found: dict[tuple[str, int], list[Fill]] = defaultdict(list)
        for now, fill in self.told:
            found[fill.symbol, now - MINUTE_NS].append(fill)
        return found


def watch(case: Case, window: int = 8, block: int = 5) -> Watched:
    """Run a case with a strategy that looks."""
    return Watched(case, run_engine(case, window, block, Watching))
