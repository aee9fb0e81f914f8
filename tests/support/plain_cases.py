"""Random cases for the plain simulator: bars on a tick grid, rules, limits and scripts, all of them small so that things meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from stratd.execution.rules import AccountRules, AtEnd, Commission, FillRule, Intrabar, LimitFill, LotRule, Slippage
from stratd.model import MINUTE_NS, Instrument, OrderKind, OrderRequest, Side, TimeInForce
from stratd.risk.limits import Policy, RiskLimits
from stratd.testing.bars import BarRow, nanoseconds

from .plain_types import Action, Amend, Cancel, Case, Place
from .reference import Listed, Phase

SYMBOLS = ("AAA", "BBB", "CCC")
STARTS = ("2024-01-02T12:00", "2024-01-02T23:55")
DAY_MINUTES = 1440
TINY = "TINY"  # a calendar of short sessions
_TINY_OPENS = (
    "2024-01-02T12:00",
    "2024-01-02T12:08",
    "2024-01-02T23:52",
    "2024-01-03T00:00",
    "2024-01-03T00:07",
    "2024-01-03T12:00",
)
TINY_PHASES = tuple(
    Phase(nanoseconds(opened), nanoseconds(opened) + 5 * MINUTE_NS, True, at) for at, opened in enumerate(_TINY_OPENS)
)
Draw = st.DrawFn


def often(value: Any, rarely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly one value, so that rare settings are also seen alone."""
    return st.one_of(st.just(value), st.just(value), rarely)


@dataclass(frozen=True)
class Made:
    """An instrument, the price that its bars begin at, and the steps that they go by: its ticks, if it has any."""

    instrument: Instrument
    start: int
    step: float

    def price(self, steps: float) -> float:
        """As text would give it."""
        return round(steps * self.step, 9)


# Tick, step, first price in steps. Without a tick, steps are a power of two, so that equal prices are equal in float64 too.
GRIDS = (
    (0.01, 0.01, 1003),
    (0.25, 0.25, 40),
    (1.0, 1.0, 100),
    (0.05, 0.05, 2000),
    (0.0001, 0.0001, 11003),
    (None, 0.015625, 640),
    (1e-8, 1e-8, 123457),
)


@st.composite
def instruments(draw: Draw, symbol: str) -> Made:
    tick, step, start = draw(st.sampled_from(GRIDS))
    lot = draw(often(1.0, st.sampled_from((0.1, 10.0, 0.001))))
    least = 0.0 if draw(st.integers(0, 5)) < 5 else draw(st.sampled_from((20.0, 300.0)))
    return Made(Instrument(symbol, tick=tick, lot=lot, min_notional=least), start, step)


@st.composite
def bars_of(draw: Draw, made: Made, minutes: list[int]) -> list[BarRow]:
    """Bars at some of these minutes."""
    at, rows = made.start, []
    step = st.integers(-3, 3)
    for minute in minutes:
        if draw(st.integers(0, 7)) == 7:
            continue
        opened = max(8, at + draw(often(0, step)))
        closed = max(8, opened + draw(step))
        high = max(opened, closed) + draw(st.integers(0, 3))
        low = min(opened, closed) - draw(st.integers(0, 3))
        volume = draw(st.sampled_from((100.0, 1000.0, 30.0, 7.0, 0.0)))
        opened_at, *rest = map(made.price, (opened, high, low, closed))
        rows.append(BarRow(made.instrument.symbol, minute, opened_at, *rest, volume))
        at = closed
    return rows


@st.composite
def minutes_of(draw: Draw, most: int, days: bool) -> list[int]:
    """Open times; now and then with a hole, now and then over days."""
    longer = (DAY_MINUTES, 3 * DAY_MINUTES) if days else ()
    at = nanoseconds(draw(st.sampled_from(STARTS)))
    found = []
    for _ in range(draw(st.integers(3, most))):
        found.append(at)
        at += MINUTE_NS * draw(often(1, st.sampled_from((1, 1, 2, 7, *longer))))
    return found


@st.composite
def all_rules(draw: Draw, fill: FillRule | None = None) -> AccountRules:
    zero = st.just(0.0)
    slippage = Slippage(
        bps=draw(often(0.0, st.sampled_from((5.0, 50.0)))),
        ticks=draw(often(0.0, st.sampled_from((1.0, 0.5)))),
        range_fraction=draw(often(0.0, st.sampled_from((0.1, 0.5)))),
    )
    commission = Commission(
        per_share=draw(often(0.0, st.sampled_from((0.005, 0.0001)))),
        minimum=draw(often(0.0, st.sampled_from((1.0, 0.03)))),
        taker_bps=draw(often(0.0, st.sampled_from((2.5, 0.3)))),
        maker_bps=draw(often(0.0, st.sampled_from((1.0, 0.1)))),
        per_order=draw(often(0.0, st.just(0.35))),
    )
    return AccountRules(
        allocated_capital=draw(often(1_000_000.0, st.sampled_from((1_000.0, 20_000.0)))),
        fill=draw(often(FillRule.NEXT_OPEN, st.just(FillRule.CLOSE))) if fill is None else fill,
        latency_seconds=draw(often(0.0, st.sampled_from((0.001, 59.0, 60.0, 61.0, 150.0)))),
        intrabar=draw(st.sampled_from(Intrabar)),
        limit_fill=draw(st.sampled_from(LimitFill)),
        participation=draw(often(None, st.sampled_from((0.1, 0.29, 1.0)))),
        allow_short=draw(often(True, st.just(False))),
        lots=draw(st.sampled_from(LotRule)),
        at_end=draw(often(AtEnd.MARK, st.just(AtEnd.CLOSE))),
        leverage=draw(often(1.0, st.sampled_from((0.5, 3.0)))),
        borrow_rate=draw(st.one_of(zero, st.just(0.05))),
        financing_rate=draw(st.one_of(zero, st.just(0.08))),
        slippage=slippage,
        commission=commission,
    )


@st.composite
def all_limits(draw: Draw) -> RiskLimits:
    """Mostly none."""
    if draw(st.integers(0, 3)) < 3:
        return RiskLimits()
    policy = st.sampled_from(Policy)
    choices: dict[str, st.SearchStrategy[Any]] = {
        "max_position_quantity": st.sampled_from((8.0, 15.0)),
        "max_position_notional": st.sampled_from((150.0, 1_000.0)),
        "max_order_quantity": st.just(9.0),
        "max_order_notional": st.sampled_from((90.0, 800.0)),
        "max_orders_per_minute": st.integers(1, 2),
        "price_band_fraction": st.sampled_from((0.001, 0.03)),
        "allowed_symbols": st.just(("AAA", "BBB")),
        "refuse_duplicates": st.just(False),
        "daily_loss_fraction": st.sampled_from((1e-6, 0.001)),
        "drawdown_fraction": st.sampled_from((1e-6, 0.001)),
        "consecutive_losses": st.integers(1, 2),
        "exposure_fraction": st.sampled_from((0.0005, 0.3)),
        "daily_loss_policy": policy,
        "drawdown_policy": policy,
        "consecutive_losses_policy": policy,
        "exposure_policy": policy,
    }
    names = draw(st.sets(st.sampled_from(sorted(choices)), min_size=1, max_size=3))
    return RiskLimits(**{name: draw(choices[name]) for name in sorted(names)})


@st.composite
def requests(draw: Draw, made: list[Made]) -> OrderRequest:
    """An order near the prices that its symbol trades at, sometimes between two ticks."""
    one = draw(st.sampled_from(made))
    instrument = one.instrument
    kind = draw(st.sampled_from(OrderKind))
    lots = draw(st.sampled_from((5.0, 1.0, 2.0, 3.0, 10.0, 10.0, 10.5, 0.5)))
    side = draw(st.sampled_from((Side.BUY, Side.SELL)))

    def price() -> float:
        between = (0.5, 0.3) if instrument.tick is not None else (0.5, 0.25)
        return round(max(1.0, one.start + draw(st.integers(-6, 6)) + draw(often(0.0, st.sampled_from(between)))) * one.step, 12)

    words: dict[str, Any] = {}
    if kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT):
        words["limit_price"] = price()
    if kind in (OrderKind.STOP, OrderKind.STOP_LIMIT):
        words["stop_price"] = price()
    if kind is OrderKind.TRAILING_STOP:
        if draw(st.booleans()):
            words["trail_amount"] = one.price(draw(st.integers(1, 3)))
        else:
            words["trail_fraction"] = draw(st.sampled_from((0.01, 0.015)))
    forces = list(TimeInForce) if kind in (OrderKind.MARKET, OrderKind.LIMIT) else [TimeInForce.GTC, TimeInForce.DAY]
    words["time_in_force"] = draw(often(TimeInForce.GTC, st.sampled_from(forces)))
    words["reduce_only"] = draw(st.integers(0, 5)) == 5
    group = draw(st.integers(0, 5))
    if group >= 4:
        words["oco"] = draw(st.sampled_from(("one", "two")))
    elif group >= 2:
        words["stop_loss_price"] = price() if draw(st.booleans()) else None
        words["take_profit_price"] = price() if draw(st.booleans()) else None
    quantity = round(lots * instrument.lot, 9)
    return OrderRequest(symbol=instrument.symbol, side=side, quantity=quantity, kind=kind, **words)


@st.composite
def actions(draw: Draw, made: list[Made], amends: bool) -> Action:
    what = draw(st.integers(0, 7 if amends else 6))
    if what <= 5:
        return Place(draw(requests(made)))
    pick = draw(st.integers(0, 5))
    if what == 6:
        return Cancel(pick)
    request = draw(requests(made))
    quantity = draw(often(None, st.sampled_from((10.0, 30.0, 120.0))))
    return Amend(pick, quantity, request.limit_price, request.stop_price)


@st.composite
def cases(draw: Draw, most_minutes: int = 14, fill: FillRule | None = None) -> Case:
    """One account's session."""
    symbols = SYMBOLS[: draw(st.integers(1, 3))]
    of_tiny = [draw(st.integers(0, 4)) == 4 for _ in symbols]
    minutes = draw(minutes_of(most_minutes, days=not any(of_tiny)))
    made = [draw(instruments(symbol)) for symbol in symbols]
    rows = [row for one in made for row in draw(bars_of(one, minutes))]
    rows.sort(key=lambda row: (row.open_time, symbols.index(row.symbol)))
    script = {draw(st.integers(0, 2 * len(minutes))): () for _ in range(draw(st.integers(1, 6)))}
    limits = draw(all_limits())
    if any(of_tiny):  # whose session begins the day of an account with several calendars is not said
        limits = replace(limits, daily_loss_fraction=None)
    rules = draw(all_rules(fill))
    amends = limits == RiskLimits() and rules.allocated_capital >= 1_000_000.0  # which checks an amendment passes is not said
    # What orders of the fills that end a session come to is not said.
    told = 0 if rules.at_end is AtEnd.CLOSE else draw(often(0, st.integers(1, 2)))
    some = st.lists(actions(made, amends), min_size=1, max_size=3).map(tuple)
    return Case(
        rows=tuple(rows),
        listed=tuple(
            Listed(symbol, TINY, TINY_PHASES) if tiny else Listed(symbol) for symbol, tiny in zip(symbols, of_tiny, strict=True)
        ),
        instruments=tuple(one.instrument for one in made),
        minutes=draw(st.sampled_from(((1,), (5,), (1, 5)))),
        rules=rules,
        limits=limits,
        script=tuple((at, draw(some)) for at in sorted(script)),
        on_fill=tuple((at, draw(some)) for at in range(told)),
    )
