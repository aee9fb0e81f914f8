"""Opportunity and threat workers: what speaks for a trade, and what against."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from stratd.model import Side
from stratd.model.dto import BaseContext, OpportunitySignal, ThreatSignal
from stratd.strategy.workers import Disposition, OpportunityWorker, ThreatWorker, WorkerParams

from ..detectors import Gap, StructureEvent
from ..dtos import Bias, FairValueGapsDTO, MarketRegimeDTO, MarketStructureDTO


class RetraceParams(WorkerParams):
    """Which returns into a gap are taken."""

    max_premium: float = Field(
        0.6,
        gt=0,
        le=1,
        description="buy at most this high in the dealing range; sell mirrored",
        json_schema_extra={"search": [0.5, 0.7]},
    )
    stop_buffer_bps: float = Field(2.0, ge=0, le=200, description="how far the stop lies beyond the gap")


class GapRetrace(OpportunityWorker[RetraceParams]):
    """Price has come back into a gap of the trend's direction, and closed on the right side of its far edge."""

    Params: ClassVar[type[WorkerParams]] = RetraceParams
    requires = (FairValueGapsDTO, MarketRegimeDTO)
    produces = (OpportunitySignal,)

    def process(self, tick: BaseContext) -> Disposition:
        """Look at the gaps entered with this bar. The youngest is meant where there are several."""
        gaps = self.get(tick, FairValueGapsDTO).entered
        if not gaps:
            return Disposition.CONTINUE
        regime = self.get(tick, MarketRegimeDTO)
        for gap in reversed(gaps):
            # From the trend's side of the range: 0 is the best place, 1 the worst.
            premium = regime.location if gap.bullish else 1.0 - regime.location
            if (
                regime.bias is (Bias.BULLISH if gap.bullish else Bias.BEARISH)
                and premium <= self.params.max_premium
                and self._held(tick, gap)
            ):
                self.put(tick, self._opportunity(tick, gap, premium))
                break
        return Disposition.CONTINUE

    @staticmethod
    def _held(tick: BaseContext, gap: Gap) -> bool:
        return tick.current_price > gap.bottom if gap.bullish else tick.current_price < gap.top

    def _opportunity(self, tick: BaseContext, gap: Gap, premium: float) -> OpportunitySignal:
        buffer = self.params.stop_buffer_bps / 10_000
        stop = gap.bottom * (1 - buffer) if gap.bullish else gap.top * (1 + buffer)
        return OpportunitySignal(
            asset=tick.asset,
            side=Side.BUY if gap.bullish else Side.SELL,
            score=min(1.0, max(0.0, 1.0 - premium)),
            reason=f"first return into the gap {gap.bottom:g} to {gap.top:g}",
            entry_price=tick.current_price,
            stop_price=stop,
        )


class ThreatParams(WorkerParams):
    """What is frightening."""

    shock_above: float = Field(3.0, gt=1, le=20, description="an expansion above this endangers both sides")


class StructureThreat(ThreatWorker[ThreatParams]):
    """A change of character endangers the side that the trend had been on; a shock endangers both."""

    Params: ClassVar[type[WorkerParams]] = ThreatParams
    requires = (MarketStructureDTO, MarketRegimeDTO)
    produces = (ThreatSignal,)

    def process(self, tick: BaseContext) -> Disposition:
        """Say the worst of what this bar threatens."""
        event = self.get(tick, MarketStructureDTO).event
        expansion = self.get(tick, MarketRegimeDTO).expansion
        if event is StructureEvent.CHOCH_DOWN:
            self.put(tick, ThreatSignal(tick.asset, Side.BUY, 1.0, "change of character, down"))
        elif event is StructureEvent.CHOCH_UP:
            self.put(tick, ThreatSignal(tick.asset, Side.SELL, 1.0, "change of character, up"))
        elif expansion > self.params.shock_above:
            severity = min(1.0, expansion / (2 * self.params.shock_above))
            self.put(tick, ThreatSignal(tick.asset, Side.FLAT, severity, f"bars {expansion:.1f} times their usual range"))
        return Disposition.CONTINUE
