"""Opening range breakout: trade the first close outside the range of the session's first minutes, be flat by its end.

Hypothesis: what came in overnight is traded into the price in the first minutes; who moves it out of that range
afterwards is in a hurry and goes on for a part of the day. (T. Crabel, Day Trading with Short Term Price Patterns and
Opening Range Breakout, 1990.)

Risks: days without direction break out of both sides; there is one trade per session, so it does not chase the second. The
stop lies at the other end of the range: a wide range risks much on one trade, unless sizing is by `fixed_risk`. A target
(`target_ranges`) makes gains more frequent and cuts the days that go on. Slippage is worst where
everybody sees the same level. For a 24/7 symbol the session is the UTC day, whose open means little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, model_validator

from stratd import Bar, Interval, Side, Strategy, StrategyContext, StrategyParams
from stratd.data.series import BarSeries
from stratd.indicators import HandleGroup, OpeningRange
from stratd.model import MINUTE_NS, Fill, RiskRefused


class OpeningRangeBreakoutParams(StrategyParams):
    """Parameters of the opening range breakout."""

    range_minutes: int = Field(
        30, ge=1, le=240, json_schema_extra={"search": [15, 30, 60]}, description="length of the opening range"
    )
    exit_minutes: int = Field(10, ge=1, le=240, description="be flat so many minutes before the session's close")
    allow_short: bool = Field(True, description="also sell a close below the range")
    target_ranges: float = Field(
        0.0,
        ge=0,
        le=20,
        json_schema_extra={"search": [0.0, 1.0, 2.0]},
        description="target, in heights of the range beyond its edge; 0: none, hold until shortly before the close",
    )

    @model_validator(mode="after")
    def _minutes_fit_the_interval(self) -> OpeningRangeBreakoutParams:
        if self.range_minutes % self.interval.minutes:
            raise ValueError(f"range_minutes ({self.range_minutes}) must be a multiple of interval ({self.interval})")
        if self.exit_minutes < self.interval.minutes:
            raise ValueError(f"exit_minutes ({self.exit_minutes}) must be at least one interval ({self.interval})")
        return self


@dataclass(slots=True)
class _Day:
    """One symbol's session: its times (ns UTC), its opening range, and what was done."""

    bars: BarSeries
    range: HandleGroup  # high and low are NaN until the range is complete
    open_time: int = 0  # of the session; 0: none yet
    close_time: int = 0
    may_enter: bool = False
    side: Side = Side.FLAT


class OpeningRangeBreakout(Strategy[OpeningRangeBreakoutParams]):
    """At most one position per symbol and session, from a close outside the opening range until shortly before the close."""

    Params: ClassVar[type[StrategyParams]] = OpeningRangeBreakoutParams

    def setup(self, ctx: StrategyContext) -> None:
        params = self.params
        self._days = {
            symbol: _Day(
                ctx.bars(symbol, params.interval),
                ctx.indicator(OpeningRange(params.range_minutes), symbol, params.interval, name="opening_range"),
            )
            for symbol in ctx.subscribe(params.symbols, params.interval)
        }

    def on_bars(self, symbol: str, interval: Interval) -> None:
        session = self.ctx.session(symbol)
        if session is None:  # before the open or after the close
            return
        day, exit_minutes = self._days[symbol], self.params.exit_minutes
        bar = day.bars[-1]
        if session[0] != day.open_time:
            self._begin(symbol, day, bar, session)
        elif bar.close_time >= day.close_time - exit_minutes * MINUTE_NS:
            day.may_enter = False
            self._leave(symbol, day, f"{exit_minutes} minutes before the close")
        elif day.may_enter:
            self._enter(symbol, day, bar)

    def _begin(self, symbol: str, day: _Day, bar: Bar, session: tuple[int, int]) -> None:
        self._leave(symbol, day, "held over: the last session gave no bar to leave at")
        # When trading begins in the middle of a session, part of that session's range was not seen.
        day.may_enter = day.side is Side.FLAT and (day.open_time != 0 or bar.open_time == session[0])
        day.open_time, day.close_time = session

    def _enter(self, symbol: str, day: _Day, bar: Bar) -> None:
        high, low = day.range.high.value, day.range.low.value
        if not high > low:  # the range is not complete yet (NaN), or has no height
            return
        if bar.close > high:
            day.side, level, stop = Side.BUY, high, low
        elif bar.close < low and self.params.allow_short:
            day.side, level, stop = Side.SELL, low, high
        else:
            return
        day.may_enter = False
        reason = f"close {bar.close:g} outside the opening range at {level:g}"
        prices = {"stop_price": stop}
        target = level + (level - stop) * self.params.target_ranges
        # The close may lie beyond the target already, as it does without one. Then the day is held to its end.
        if target > bar.close if day.side is Side.BUY else 0 < target < bar.close:
            prices["take_profit_price"] = target
        self.ctx.signal(symbol, day.side, reason=reason, **prices)

    def _leave(self, symbol: str, day: _Day, reason: str) -> None:
        # An exit that is refused is tried again at the next bar that asks for one.
        if day.side is not Side.FLAT and not isinstance(self.ctx.signal(symbol, Side.FLAT, reason=reason), RiskRefused):
            day.side = Side.FLAT

    def on_fill(self, fill: Fill) -> None:
        # What is held counts; while nothing is held and an order still works, it is as it was.
        held = self.ctx.position(fill.symbol).quantity
        if held != 0:
            self._days[fill.symbol].side = Side.BUY if held > 0 else Side.SELL
        elif not self.ctx.orders(fill.symbol):
            self._days[fill.symbol].side = Side.FLAT

    def save_state(self) -> dict[str, Any]:
        return {
            symbol: {"open": day.open_time, "close": day.close_time, "may_enter": day.may_enter, "side": day.side.value}
            for symbol, day in self._days.items()
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        for symbol, day in self._days.items():
            if symbol in state:
                saved = state[symbol]
                day.open_time, day.close_time = saved["open"], saved["close"]
                day.may_enter, day.side = saved["may_enter"], Side(saved["side"])
