"""Smart DCA: buy a little at regular times, more when the market is cheap by its own measure, less when it is dear.

Hypothesis: who buys by the calendar gets the average price. Prices that have fallen far below their mean of late come
back more often than not, so buying more there and less above it lowers the average paid, at no forecast.

Risks: what falls keeps falling, and the strategy buys more of it all the way, up to `max_weight`; it has no stop. "Cheap"
is measured against a window that moves along with the price. The risk assessor only pauses purchases, it never sells.
In a long rise the strategy buys less than plain averaging does.

Sizing is its own: each purchase asks for the weight that is held, at this close, and a little more. It has no stop and no target.

    dtos      what the workers hand each other, with this strategy's own MarketRegimeDTO
    workers   regime classifier → risk assessor → planner → execution
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from stratd.strategy.params import StrategyParams
from stratd.strategy.workers import WorkerBlueprint, WorkforceBlueprint, WorkforceParams, WorkforceStrategy


class SmartDcaParams(WorkforceParams):
    """The default blueprint; a session may give another."""

    workforce: WorkforceBlueprint = Field(
        default=WorkforceBlueprint(
            context_workers=(WorkerBlueprint(name="RegimeClassifier"),),
            threat_workers=(WorkerBlueprint(name="RiskAssessor"),),
            planning_workers=(WorkerBlueprint(name="DcaPlanner"),),
            execution_workers=(WorkerBlueprint(name="DcaExecution"),),
        ),
        description="the workers, by kind",
    )


class SmartDca(WorkforceStrategy[SmartDcaParams]):
    """Averages into its symbols, with purchases sized by regime and paused by risk."""

    Params: ClassVar[type[StrategyParams]] = SmartDcaParams
