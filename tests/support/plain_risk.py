"""Risk of ADR 0007: what an order may be turned away for, and what makes an account stricter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from stratd.model import MINUTE_NS, MONEY, Instrument, OrderRequest, Refusal, Side
from stratd.risk.limits import Policy, RiskLimits

from .plain_book import Book
from .plain_numbers import exact, on_grid, to_lots
from .plain_order import PlainOrder, sign_of

STATES = ("active", "reducing", "halted")


class PlainRisk:
    """Keeps what the limits are judged by."""

    def __init__(self, limits: RiskLimits, capital: int, leverage: float, allow_short: bool) -> None:
        self.limits, self.leverage, self.allow_short = limits, exact(leverage), allow_short
        self.state = "active"
        self.highest = self.day_start = capital
        self.day = -1
        self.accepted: list[int] = []  # times
        self.orders: list[PlainOrder] = []

    # Before an order.

    def reasons(
        self, request: OrderRequest, time: int, book: Book, seen: Mapping[str, Fraction], working: Sequence[PlainOrder]
    ) -> set[str]:
        """Every reason to turn an order away. `seen` has the last price of each symbol."""
        found: set[str] = set()
        if self.state == "halted":
            found.add(Refusal.HALTED)
        limits, holding = self.limits, book.holdings.get(request.symbol)
        if holding is None or (limits.allowed_symbols is not None and request.symbol not in limits.allowed_symbols):
            return found | {Refusal.SYMBOL}
        lots, held, sign = to_lots(request.quantity, holding.instrument), holding.lots, sign_of(request.side)
        if request.symbol not in seen:
            found.add(Refusal.NO_PRICE)
        against = max(0, -held * sign)  # lots of the position that it could take off
        reduce_only = request.reduce_only or (sign < 0 and not self.allow_short)
        ahead = (
            0
            if reduce_only
            else sum(one.rest for one in working if may_open(one) and (one.symbol, one.sign) == (request.symbol, sign))
        )
        reduces = against > 0 and (reduce_only or ahead + lots <= against)
        if self.state == "reducing" and not (reduces and lots):
            found.add(Refusal.REDUCING)
        if reduce_only and not against:
            found.add(Refusal.NOTHING_TO_REDUCE if request.reduce_only else Refusal.SHORT)
        if lots == 0:
            return found | {Refusal.ZERO_LOTS}
        if request.symbol not in seen:
            return found
        lot, last = exact(holding.instrument.lot), seen[request.symbol]
        after = held + sign * (ahead + lots)
        worth = lots * lot * last
        if worth < exact(holding.instrument.min_notional) and not (against and lots == against):
            found.add(Refusal.MIN_NOTIONAL)
        for limit, number, reason in (
            (limits.max_order_quantity, lots * lot, Refusal.ORDER_QUANTITY),
            (limits.max_order_notional, worth, Refusal.ORDER_NOTIONAL),
            (limits.max_position_quantity, abs(after) * lot, Refusal.POSITION_QUANTITY),
            (limits.max_position_notional, abs(after) * lot * last, Refusal.POSITION_NOTIONAL),
        ):
            if limit is not None and not reduces and number > exact(limit):
                found.add(reason)
        found |= self._by_time(request, time, holding.instrument, reduces)
        if limits.price_band_fraction is not None:
            for price in _prices(request, holding.instrument):
                if price is not None and abs(price - last) > exact(limits.price_band_fraction) * last:
                    found.add(Refusal.PRICE_BAND)
        growth = 0 if reduces else growth_of(held, sign * (ahead + lots)) - growth_of(held, sign * ahead)
        if growth and self._needs(growth * lot * last, book, seen, working) > book.equity * self.leverage / MONEY:
            found.add(Refusal.BUYING_POWER)
        return found

    def _by_time(self, request: OrderRequest, time: int, instrument: Instrument, reduces: bool) -> set[str]:
        found: set[str] = set()
        rate = self.limits.max_orders_per_minute
        if rate is not None and not reduces and sum(at // MINUTE_NS == time // MINUTE_NS for at in self.accepted) >= rate:
            found.add(Refusal.ORDER_RATE)
        given = [order for order in self.orders if order.created == time and order.parent is None and order.state != "filled"]
        if self.limits.refuse_duplicates and any(_as_it_is(order) == _likeness(request, instrument) for order in given):
            found.add(Refusal.DUPLICATE)
        return found

    def _needs(self, worth: Fraction, book: Book, seen: Mapping[str, Fraction], working: Sequence[PlainOrder]) -> Fraction:
        held = sum((Fraction(abs(holding.value), MONEY) for holding in book.holdings.values()), Fraction(0))
        sides: dict[tuple[str, int], int] = {}
        for order in filter(may_open, working):
            sides[order.symbol, order.sign] = sides.get((order.symbol, order.sign), 0) + order.rest
        for (symbol, sign), lots in sides.items():
            holding = book.holdings[symbol]
            held += growth_of(holding.lots, sign * lots) * exact(holding.instrument.lot) * seen[symbol]
        return held + worth

    def accept(self, time: int) -> None:
        self.accepted.append(time)

    # While it runs.

    def watch(self, time: int, open_time: int, book: Book) -> bool:
        """After the marks of a step: whether the state became stricter."""
        equity, limits = book.equity, self.limits
        self.highest = max(self.highest, equity)
        passed = []
        if limits.daily_loss_fraction is not None and self.day_start - equity >= limits.daily_loss_fraction * self.day_start:
            passed.append(limits.daily_loss_policy)
        if limits.drawdown_fraction is not None and self.highest - equity >= limits.drawdown_fraction * self.highest:
            passed.append(limits.drawdown_policy)
        if limits.consecutive_losses is not None and book.losses_in_a_row >= limits.consecutive_losses:
            passed.append(limits.consecutive_losses_policy)
        held = sum(abs(holding.value) for holding in book.holdings.values())
        if limits.exposure_fraction is not None and held > exact(limits.exposure_fraction) * equity:
            passed.append(limits.exposure_policy)
        wanted = "halted" if Policy.HALT in passed else "reducing" if passed else "active"
        if STATES.index(wanted) <= STATES.index(self.state):
            return False
        self.state = wanted
        return True


def may_open(order: PlainOrder) -> bool:
    """Whether an order may open or enlarge a position."""
    return order.parent is None and not order.reduces


def growth_of(held: int, lots: int) -> int:
    """By how many lots a fill would make a position larger, whichever way it points then."""
    return max(0, abs(held + lots) - abs(held))


def _prices(request: OrderRequest, instrument: Instrument) -> tuple[Fraction | None, Fraction | None]:
    """Limit and stop as rounded."""
    buys = request.side is Side.BUY
    limit = None if request.limit_price is None else on_grid(exact(request.limit_price), instrument, up=not buys)
    stop = None if request.stop_price is None else on_grid(exact(request.stop_price), instrument, up=buys)
    return limit, stop


def _likeness(request: OrderRequest, instrument: Instrument) -> tuple[object, ...]:
    """What makes two orders the same: quantity and prices as rounded."""
    lots, trails = to_lots(request.quantity, instrument), (request.trail_amount, request.trail_fraction)
    return (request.symbol, request.side, request.kind, lots, *_prices(request, instrument), *trails)


def _as_it_is(order: PlainOrder) -> tuple[object, ...]:
    """The same of an order, with its amendments."""
    request = order.request
    stop = None if request.stop_price is None else order.stop
    return (
        request.symbol,
        request.side,
        request.kind,
        order.lots,
        order.limit,
        stop,
        request.trail_amount,
        request.trail_fraction,
    )
