"""Context workers: what the market has done."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from pydantic import Field

from stratd.indicators import SMA, Highest, Lowest
from stratd.indicators.arithmetic import Ratio, WeightedSum
from stratd.model.dto import BaseContext
from stratd.strategy.workers import ContextWorker, Disposition, WorkerParams

from ..detectors import GapDetector, StructureDetector, StructureEvent
from ..dtos import Bias, FairValueGapsDTO, MarketRegimeDTO, MarketStructureDTO

if TYPE_CHECKING:
    from stratd.data.series import BarSeries


_NOTHING_SEEN: Final = -(2**62)


def unseen(series: BarSeries, until: int) -> slice:
    """The visible rows that closed after `until` (ns UTC).

    One in the ordinary course; all of them the first time, and as many as were skipped after an overrun. By time and not by number:
    after a restart rows may be counted from another beginning.
    """
    return slice(int(np.searchsorted(series.close_time, until, side="right")), None)


class StructureParams(WorkerParams):
    """How a swing is recognised."""

    swing: int = Field(3, ge=1, le=20, description="bars on each side of a swing", json_schema_extra={"search": [2, 3, 5]})


class MarketStructureDetector(ContextWorker[StructureParams]):
    """Swing highs and lows, break of structure, change of character."""

    Params: ClassVar[type[WorkerParams]] = StructureParams
    produces = (MarketStructureDTO,)

    def setup(self, symbols: tuple[str, ...]) -> None:
        """One detector per asset, made when the asset is first seen: assets can join a session."""
        swing = self.params.swing
        self._of: defaultdict[str, StructureDetector] = defaultdict(lambda: StructureDetector(swing))
        self._until: defaultdict[str, int] = defaultdict(lambda: _NOTHING_SEEN)

    def process(self, tick: BaseContext) -> Disposition:
        """Take the new bars; say what the last one did."""
        detector = self._of[tick.asset]
        series = self.bars(tick)
        new = unseen(series, self._until[tick.asset])
        self._until[tick.asset] = int(series.close_time[-1])
        event = StructureEvent.NONE
        for high, low, close in zip(series.high[new].tolist(), series.low[new].tolist(), series.close[new].tolist(), strict=True):
            event = detector.update(high, low, close)
        self.put(tick, MarketStructureDTO(detector.trend, event, detector.swing_high, detector.swing_low))
        return Disposition.CONTINUE

    def save_state(self) -> dict[str, Any]:
        """The detectors, and up to when they have seen bars, by asset."""
        return {asset: {"until": self._until[asset], **detector.save_state()} for asset, detector in self._of.items()}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take them back."""
        for asset, saved in state.items():
            self._until[asset] = saved["until"]
            self._of[asset].restore_state(saved)


class GapParams(WorkerParams):
    """Which gaps count."""

    min_gap_bps: float = Field(2.0, ge=0, le=500, description="smallest height of a gap", json_schema_extra={"search": [1, 2, 5]})
    max_untouched: int = Field(20, ge=1, le=200, description="gaps remembered")


class FairValueGapDetector(ContextWorker[GapParams]):
    """Fair value gaps: formed, untouched, entered."""

    Params: ClassVar[type[WorkerParams]] = GapParams
    produces = (FairValueGapsDTO,)

    def setup(self, symbols: tuple[str, ...]) -> None:
        """One detector per asset, made when the asset is first seen: assets can join a session."""
        fraction, most = self.params.min_gap_bps / 10_000, self.params.max_untouched
        self._of: defaultdict[str, GapDetector] = defaultdict(lambda: GapDetector(fraction, most))
        self._until: defaultdict[str, int] = defaultdict(lambda: _NOTHING_SEEN)

    def process(self, tick: BaseContext) -> Disposition:
        """Take the new bars; say what the last one did."""
        detector = self._of[tick.asset]
        series = self.bars(tick)
        new = unseen(series, self._until[tick.asset])
        self._until[tick.asset] = int(series.close_time[-1])
        for high, low, at in zip(
            series.high[new].tolist(), series.low[new].tolist(), series.close_time[new].tolist(), strict=True
        ):
            detector.update(high, low, at)
        self.put(tick, FairValueGapsDTO(detector.untouched, detector.entered, detector.formed))
        return Disposition.CONTINUE

    def save_state(self) -> dict[str, Any]:
        """The detectors, and up to when they have seen bars, by asset."""
        return {asset: {"until": self._until[asset], **detector.save_state()} for asset, detector in self._of.items()}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take them back."""
        for asset, saved in state.items():
            self._until[asset] = saved["until"]
            self._of[asset].restore_state(saved)


class RegimeParams(WorkerParams):
    """What counts as a trend."""

    range_bars: int = Field(60, ge=10, le=500, description="bars of the dealing range")
    recent_bars: int = Field(10, ge=2, le=100, description="bars that are of late; at most range_bars count")
    quiet_below: float = Field(0.5, ge=0, le=1, description="below this expansion the market is ranging, whatever its structure")


class StructureRegime(ContextWorker[RegimeParams]):
    """Bias from structure, place in the dealing range, expansion."""

    Params: ClassVar[type[WorkerParams]] = RegimeParams
    requires = (MarketStructureDTO,)
    produces = (MarketRegimeDTO,)

    @property
    def lookback(self) -> int:
        """The dealing range."""
        return self.params.range_bars

    def setup(self, symbols: tuple[str, ...]) -> None:
        """Three indicators per asset. Where no bar of the range has a height there is no expansion: 0."""
        indicator, interval, window = self.providers.indicator, self.providers.interval, self.params.range_bars
        height = WeightedSum("high", "low", 1.0, -1.0)
        recent, whole = SMA(min(self.params.recent_bars, window)).of(height), SMA(window).of(height)
        self._expansion = {
            symbol: indicator(Ratio(recent, whole, undefined=0.0), symbol, interval, name="expansion") for symbol in symbols
        }
        self._top = {symbol: indicator(Highest(window), symbol, interval, name="top") for symbol in symbols}
        self._bottom = {symbol: indicator(Lowest(window), symbol, interval, name="bottom") for symbol in symbols}

    def process(self, tick: BaseContext) -> Disposition:
        """Judge the window that ends with this bar."""
        expansion = self._expansion[tick.asset].value
        top, bottom = self._top[tick.asset].value, self._bottom[tick.asset].value
        location = (tick.current_price - bottom) / (top - bottom) if top > bottom else 0.5
        trend = self.get(tick, MarketStructureDTO).trend
        bias = Bias.RANGING
        if expansion >= self.params.quiet_below and trend != 0:
            bias = Bias.BULLISH if trend > 0 else Bias.BEARISH
        self.put(tick, MarketRegimeDTO(bias, location, expansion))
        return Disposition.CONTINUE
