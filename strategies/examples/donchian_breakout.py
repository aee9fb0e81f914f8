"""Donchian breakout: buy a close above the highest high of the last bars, leave at a close below the lowest low.

Hypothesis: a price outside the range of the recent past is news that is not fully priced yet, and large moves
begin with one. (R. Donchian's channel rule; the "turtles" traded 20 bars in and 10 out on daily bars.)

Risks: most breakouts fail. It loses often and little, and lives on a few large moves, so it must be held through long
drawdowns and a run cut short says nothing. In fast markets it buys far above the channel. The stop it asks for is a
distance in average true ranges: gaps jump over it. When the stop was hit it is out until the next close above the channel, which
may come soon. There is no target: the large moves pay for the rest. An entry that is refused is let go until the exit rule
would have ended it; an exit that is refused is tried again at the next bar that closes below the channel.

Sizing: `fixed_risk` fits, so that a stop costs the same whatever its distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from stratd import Interval, Side, Strategy, StrategyContext, StrategyParams
from stratd.data.series import BarSeries
from stratd.indicators import ATR, Highest, IndicatorHandle, Lowest
from stratd.model import Fill, RiskRefused


class DonchianBreakoutParams(StrategyParams):
    """Parameters of the Donchian breakout; periods in bars of `interval`."""

    interval: Interval = Field(Interval("15m"), description="the interval that on_bars is called for")
    entry_period: int = Field(
        20, ge=2, le=1000, json_schema_extra={"search": [20, 40, 55]}, description="bars of the upper channel"
    )
    exit_period: int = Field(
        10, ge=2, le=1000, json_schema_extra={"search": [5, 10, 20]}, description="bars of the lower channel"
    )
    atr_period: int = Field(14, ge=1, le=500, description="bars of the average true range")
    stop_atr: float = Field(
        2.0, gt=0, le=20, json_schema_extra={"search": [1.5, 2.0, 3.0]}, description="stop, in average true ranges"
    )


@dataclass(slots=True)
class _Channel:
    bars: BarSeries
    upper: IndicatorHandle
    lower: IndicatorHandle
    range: IndicatorHandle
    long: bool = False


class DonchianBreakout(Strategy[DonchianBreakoutParams]):
    """Long from a close above the upper channel until a close below the lower one. Never short."""

    Params: ClassVar[type[StrategyParams]] = DonchianBreakoutParams

    def setup(self, ctx: StrategyContext) -> None:
        params = self.params
        # One bar more than the periods: a bar is compared with the channel of the bars before it.
        lookback = max(params.entry_period, params.exit_period, params.atr_period) + 1
        self._channels = {
            symbol: _Channel(
                ctx.bars(symbol, params.interval),
                ctx.indicator(Highest(params.entry_period), symbol, params.interval, name="upper"),
                ctx.indicator(Lowest(params.exit_period), symbol, params.interval, name="lower"),
                ctx.indicator(ATR(params.atr_period), symbol, params.interval, name="range"),
            )
            for symbol in ctx.subscribe(params.symbols, params.interval, lookback=lookback)
        }

    def on_bars(self, symbol: str, interval: Interval) -> None:
        channel = self._channels[symbol]
        close = float(channel.bars.close[-1])
        if channel.long:
            floor = channel.lower[-2]
            if close < floor:
                reason = f"close {close:g} below {floor:g}, the low of {self.params.exit_period} bars"
                channel.long = isinstance(self.ctx.signal(symbol, Side.FLAT, reason=reason), RiskRefused)
        elif close > (ceiling := channel.upper[-2]):
            channel.long = True
            stop = close - self.params.stop_atr * channel.range.value
            self.ctx.signal(
                symbol,
                Side.BUY,
                reason=f"close {close:g} above {ceiling:g}, the high of {self.params.entry_period} bars",
                stop_price=stop if stop > 0 else None,
            )

    def on_fill(self, fill: Fill) -> None:
        # What is held counts; while nothing is held and an order still works, it is as it was.
        held = self.ctx.position(fill.symbol).quantity != 0
        if held or not self.ctx.orders(fill.symbol):
            self._channels[fill.symbol].long = held

    def save_state(self) -> dict[str, Any]:
        return {"long": [symbol for symbol, channel in self._channels.items() if channel.long]}

    def restore_state(self, state: dict[str, Any]) -> None:
        for symbol, channel in self._channels.items():
            channel.long = symbol in state["long"]
