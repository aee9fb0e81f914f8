"""ICT/SMC: trade the return into a fair value gap, in the direction of the market's structure.

Hypothesis: a move so quick that it leaves a gap between the bars before and after it was made by someone with size, who
is not done. When price comes back into the gap for the first time while structure still points that way, it tends to
go on from there. Bought in the lower part of the dealing range, sold in its upper part, the loss is small when wrong.

Risks: the terms come from traders' lore and have little evidence behind them. In a range the gaps mean nothing; the
regime worker is there to keep the strategy out, and it is late by `swing` bars. Stops lie close, so that costs and
slippage weigh heavily, and a gap over the stop loses more than planned. Parameters are not fitted to anything.

    dtos        what the workers hand each other, with this strategy's own MarketRegimeDTO
    detectors   swings and breaks, fair value gaps: on bars alone, without a strategy around them
    workers/    structure, gaps, regime → opportunity, threat → planning → execution
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from stratd.strategy.params import StrategyParams
from stratd.strategy.workers import WorkerBlueprint, WorkforceBlueprint, WorkforceParams, WorkforceStrategy


class IctSmcParams(WorkforceParams):
    """The default blueprint; a session may give another."""

    workforce: WorkforceBlueprint = Field(
        default=WorkforceBlueprint(
            context_workers=(
                WorkerBlueprint(name="MarketStructureDetector"),
                WorkerBlueprint(name="FairValueGapDetector"),
                WorkerBlueprint(name="StructureRegime"),
            ),
            opportunity_workers=(WorkerBlueprint(name="GapRetrace"),),
            threat_workers=(WorkerBlueprint(name="StructureThreat"),),
            planning_workers=(WorkerBlueprint(name="FixedRiskPlanner"),),
            execution_workers=(WorkerBlueprint(name="SignalExecution"),),
        ),
        description="the workers, by kind",
    )


class IctSmc(WorkforceStrategy[IctSmcParams]):
    """Buys the first return into a bullish fair value gap in a bullish structure, and the mirror image."""

    Params: ClassVar[type[StrategyParams]] = IctSmcParams
