"""RSI mean reversion: buy a sharp fall within a rising market, sell into the recovery.

Hypothesis: over short spans liquidity, not news, moves prices too far; who buys from hurried sellers is paid when the
price comes back. Within a rising trend (close above a long average) falls are more often hurry than news.

Risks: gains are small and frequent, losses rare and large: the fall that does not come back is the one that breaks the
trend filter only after the purchase. `max_bars` limits the time in a losing position, not its loss; there is no stop.
The rule is crowded, and fees eat much of what a short interval leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, model_validator

from stratd import RSI, SMA, Interval, Side, Strategy, StrategyContext, StrategyParams
from stratd.data.series import BarSeries
from stratd.indicators import IndicatorHandle


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
    before: float = float("nan")  # RSI at the bar before
    entered: int = -1  # number of the bar it was bought at; -1: flat


class RsiMeanReversion(Strategy[RsiMeanReversionParams]):
    """Long from an RSI that falls below `oversold` in a rising market until it has recovered. Never short."""

    Params: ClassVar[type[StrategyParams]] = RsiMeanReversionParams

    def setup(self, ctx: StrategyContext) -> None:
        params = self.params
        lookback = max(params.rsi_period + 1, params.trend_period)
        self._watches = {
            symbol: _Watch(
                ctx.bars(symbol, params.interval),
                ctx.indicator(RSI(params.rsi_period), symbol, params.interval, name="rsi"),
                ctx.indicator(SMA(params.trend_period), symbol, params.interval, name="trend"),
            )
            for symbol in ctx.subscribe(params.symbols, params.interval, lookback=lookback)
        }

    def on_bars(self, symbol: str, interval: Interval) -> None:
        params, watch = self.params, self._watches[symbol]
        now, before = watch.rsi.value, watch.before
        watch.before = now
        if watch.entered < 0:
            # The crossing, not the level: a market that keeps falling is bought once, and one that never moved (RSI 0) never.
            if before >= params.oversold > now and float(watch.bars.close[-1]) > watch.trend.value:
                watch.entered = watch.bars.count
                self.ctx.signal(symbol, Side.BUY, reason=f"RSI fell to {now:.1f} above the trend's average")
        elif now > params.recovered:
            watch.entered = -1
            self.ctx.signal(symbol, Side.FLAT, reason=f"RSI recovered to {now:.1f}")
        elif watch.bars.count - watch.entered >= params.max_bars:
            watch.entered = -1
            self.ctx.signal(symbol, Side.FLAT, reason=f"not recovered within {params.max_bars} bars")
