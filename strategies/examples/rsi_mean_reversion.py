"""RSI mean reversion: buy a sharp fall within a rising market, sell into the recovery.

Hypothesis: over short spans liquidity, not news, moves prices too far; who buys from hurried sellers is paid when the
price comes back. Within a rising trend (close above a long average) falls are more often hurry than news.

Risks: gains are small and frequent, losses rare and large: the fall that does not come back is the one that breaks the
trend filter only after the purchase. `max_bars` limits the time in a losing position, the stop its loss, as far as gaps
let it. The stop lies far away, because one that is near sells what the rule has just bought; when it was hit, the next purchase
takes another fall. The rule is crowded, and fees eat much of what a short interval leaves. An entry that is refused is let go
until the exit rules would have ended it; an exit that is refused is tried again at the next bar at which they would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, model_validator

from stratd import RSI, SMA, Interval, Side, Strategy, StrategyContext, StrategyParams
from stratd.data.series import BarSeries
from stratd.indicators import ATR, IndicatorHandle
from stratd.model import Fill, RiskRefused


class RsiMeanReversionParams(StrategyParams):
    """Parameters of RSI mean reversion; periods in bars of `interval`, levels from 0 to 100."""

    interval: Interval = Field(Interval("15m"), description="the interval that on_bars is called for")
    rsi_period: int = Field(14, ge=2, le=200, json_schema_extra={"search": [2, 7, 14]}, description="bars of the RSI")
    oversold: float = Field(30.0, gt=0, lt=100, json_schema_extra={"search": [10, 20, 30]}, description="buy when it falls below")
    recovered: float = Field(50.0, gt=0, lt=100, json_schema_extra={"search": [50, 60, 70]}, description="leave when it is above")
    trend_period: int = Field(
        100, ge=2, le=5000, json_schema_extra={"search": [50, 100, 200]}, description="bars of the trend's average"
    )
    max_bars: int = Field(40, ge=1, le=10_000, description="leave after so many bars in any case")
    atr_period: int = Field(14, ge=1, le=500, description="bars of the average true range")
    stop_atr: float = Field(
        3.0, ge=0, le=20, json_schema_extra={"search": [0.0, 3.0, 5.0]}, description="stop, in average true ranges; 0: no stop"
    )

    @model_validator(mode="after")
    def _recovered_exceeds_oversold(self) -> RsiMeanReversionParams:
        if self.recovered <= self.oversold:
            raise ValueError(f"recovered ({self.recovered:g}) must be above oversold ({self.oversold:g})")
        return self


@dataclass(slots=True)
class _Watch:
    bars: BarSeries
    rsi: IndicatorHandle
    trend: IndicatorHandle
    range: IndicatorHandle
    before: float = float("nan")  # RSI at the bar before
    age: int = -1  # bars it was called for since it was bought; -1: flat


class RsiMeanReversion(Strategy[RsiMeanReversionParams]):
    """Long from an RSI that falls below `oversold` in a rising market until it has recovered. Never short."""

    Params: ClassVar[type[StrategyParams]] = RsiMeanReversionParams

    def setup(self, ctx: StrategyContext) -> None:
        params = self.params
        lookback = max(params.rsi_period + 1, params.trend_period, params.atr_period + 1)
        self._watches = {
            symbol: _Watch(
                ctx.bars(symbol, params.interval),
                ctx.indicator(RSI(params.rsi_period), symbol, params.interval, name="rsi"),
                ctx.indicator(SMA(params.trend_period), symbol, params.interval, name="trend"),
                ctx.indicator(ATR(params.atr_period), symbol, params.interval, name="range"),
            )
            for symbol in ctx.subscribe(params.symbols, params.interval, lookback=lookback)
        }

    def on_bars(self, symbol: str, interval: Interval) -> None:
        params, watch = self.params, self._watches[symbol]
        now, before = watch.rsi.value, watch.before
        watch.before = now
        if watch.age < 0:
            # The crossing, not the level: a market that keeps falling is bought once, and one that never moved (RSI 0) never.
            close = float(watch.bars.close[-1])
            if before >= params.oversold > now and close > watch.trend.value:
                watch.age = 0
                stop = close - params.stop_atr * watch.range.value
                self.ctx.signal(
                    symbol,
                    Side.BUY,
                    reason=f"RSI fell to {now:.1f} above the trend's average",
                    stop_price=stop if 0 < stop < close else None,
                )
            return
        watch.age += 1
        if now > params.recovered:
            self._leave(symbol, watch, f"RSI recovered to {now:.1f}")
        elif watch.age >= params.max_bars:
            self._leave(symbol, watch, f"not recovered within {params.max_bars} bars")

    def _leave(self, symbol: str, watch: _Watch, reason: str) -> None:
        if not isinstance(self.ctx.signal(symbol, Side.FLAT, reason=reason), RiskRefused):
            watch.age = -1

    def on_fill(self, fill: Fill) -> None:
        watch = self._watches[fill.symbol]
        # What is held counts; while nothing is held and an order still works, it is as it was.
        if self.ctx.position(fill.symbol).quantity != 0:
            watch.age = max(0, watch.age)
        elif not self.ctx.orders(fill.symbol):
            watch.age = -1

    def save_state(self) -> dict[str, Any]:
        return {
            symbol: {"before": None if watch.before != watch.before else watch.before, "age": watch.age}
            for symbol, watch in self._watches.items()
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        for symbol, watch in self._watches.items():
            if symbol in state:
                before = state[symbol]["before"]
                watch.before = float("nan") if before is None else before
                watch.age = state[symbol]["age"]
