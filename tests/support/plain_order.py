"""An order of the plain simulator, and the prices at which it fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from stratd.execution.rules import AccountRules
from stratd.model import Instrument, OrderKind, OrderRequest, Side, TimeInForce
from stratd.testing.bars import BarRow

from .plain_numbers import exact, on_grid

AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


@dataclass
class Entry:
    """How the entry of a bracket filled: at `price` (before slippage), at the open or as a limit or as a stop, in which bar and phase."""

    price: Fraction
    how: str  # open, stop, limit
    bar: int
    phase: str  # open, stops, limits


@dataclass
class PlainOrder:
    """An order.

    Attributes:
        sign: 1 buys, -1 sells.
        taken: lots that others of its group have filled.
        reached: whether its stop has been reached: it is a market order then, or a limit order.
        best: reference of a trailing stop; its `stop` is the level that follows.
        waiting: changes that wait for their time.
        parent: the entry, for a bracket's child; children are held until `entry` says how it filled last.
        late: lots that they got in the bar of that.
        decided_at: with `fill: close`, the close of the bar on which a market order was decided; None once that is past.
        passed_by: open time of the bar in which it was triggered and may not fill as a limit any more.
    """

    id: int
    request: OrderRequest
    instrument: Instrument
    sign: int
    kind: OrderKind
    lots: int
    created: int
    eligible: int
    deadline: int | None
    reduces: bool
    limit: Fraction | None = None
    stop: Fraction | None = None
    parent: PlainOrder | None = None
    children: list[PlainOrder] = field(default_factory=list)
    entry: Entry | None = None
    late: int = 0
    filled: int = 0
    taken: int = 0
    fills: int = 0
    per_share: Fraction = Fraction(0)
    reached: bool = False
    best: Fraction | None = None
    passed_by: int = -1
    decided_at: Fraction | None = None
    state: str = "working"
    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limit = self.rounded_limit(self.request.limit_price) if self.limit is None else self.limit
        self.stop = self.rounded_stop(self.request.stop_price) if self.stop is None else self.stop

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def works(self) -> bool:
        return self.state == "working"

    @property
    def is_held(self) -> bool:
        return self.parent is not None and self.entry is None

    @property
    def rest(self) -> int:
        whole = self.lots if self.parent is None else self.parent.filled
        return whole - self.filled - self.taken

    def rounded_limit(self, price: float | None) -> Fraction | None:
        """Never worse than asked."""
        return None if price is None else on_grid(exact(price), self.instrument, up=self.sign < 0)

    def rounded_stop(self, price: float | None) -> Fraction | None:
        """Never earlier than asked."""
        return None if price is None else self.on_stop_grid(exact(price))

    def on_stop_grid(self, price: Fraction) -> Fraction:
        return on_grid(price, self.instrument, up=self.sign > 0)

    # Which prices reach it.

    def reaches(self, price: Fraction, stop: Fraction) -> bool:
        """Whether a price has reached or passed a stop."""
        return self.sign * (price - stop) >= 0

    def meets(self, price: Fraction, limit: Fraction) -> bool:
        """Whether a price meets or betters a limit."""
        return self.sign * (limit - price) >= 0

    def beyond(self, price: Fraction, limit: Fraction, touch: bool) -> bool:
        """Whether a price lies beyond a limit, or at it where that is enough."""
        return price == limit if touch and price == limit else self.sign * (limit - price) > 0

    def worst(self, bar: BarRow) -> Fraction:
        """The extreme that reaches stops."""
        return exact(bar.high if self.sign > 0 else bar.low)

    def best_of(self, bar: BarRow) -> Fraction:
        """The extreme that reaches limits, and that a trailing stop follows."""
        return exact(bar.low if self.sign > 0 else bar.high)

    def follow(self, price: Fraction) -> None:
        """Take a price into a trailing stop's reference."""
        if self.best is None or self.sign * (self.best - price) > 0:
            self.best = price
        if self.request.trail_amount is not None:
            level = self.best + self.sign * exact(self.request.trail_amount)
        else:
            assert self.request.trail_fraction is not None
            level = self.best * (1 + self.sign * exact(self.request.trail_fraction))
        self.stop = self.on_stop_grid(level)

    # What it pays.

    def price(self, base: Fraction, slips: bool, rules: AccountRules, bar: BarRow) -> Fraction:
        """The price of a fill: slipped, rounded against the trader, a stop-limit's never beyond its limit."""
        slippage = rules.slippage
        worse = Fraction(0)
        if slips:
            worse += base * exact(slippage.bps) / 10_000
            worse += exact(slippage.range_fraction) * (exact(bar.high) - exact(bar.low))
            if self.instrument.tick is not None:
                worse += exact(slippage.ticks) * exact(self.instrument.tick)
        price = on_grid(base + self.sign * worse, self.instrument, up=self.sign > 0)
        if self.limit is not None and not self.meets(price, self.limit):
            price = self.limit
        return price

    def fee(self, lots: int, price: Fraction, is_maker: bool, rules: AccountRules) -> Fraction:
        """Commission of its next fill, to be rounded. To be called before `filled` is raised, once for a fill."""
        commission = rules.commission
        units = exact(self.instrument.lot) * (self.filled + lots)
        so_far = max(exact(commission.minimum), exact(commission.per_share) * units)
        due, self.per_share = so_far - self.per_share, so_far
        bps = commission.maker_bps if is_maker else commission.taker_bps
        due += price * lots * exact(self.instrument.lot) * exact(bps) / 10_000
        return due + (exact(commission.per_order) if self.fills == 0 else 0)


def sign_of(side: Side) -> int:
    return 1 if side is Side.BUY else -1
