"""Workers: a strategy divided among specialists.

    base       Worker and its kinds, Disposition, WorkerParams, WorkerProviders
    blueprint  which workers a workforce has, as a session file says it
    factory    WorkerFactory: builds the workers that a blueprint names
    workforce  Workforce: puts them in order and runs a tick
    strategy   WorkforceStrategy: the strategy that drives them

    context workers → opportunity and threat workers → planning workers → execution workers

What they share during a tick is kept by the strategy's `TradingContextProvider` (strategy/context_provider.py).
"""

from stratd.strategy.workers.base import (
    ContextWorker,
    Disposition,
    ExecutionWorker,
    OpportunityWorker,
    PlanningWorker,
    ThreatWorker,
    Verdict,
    Worker,
    WorkerKind,
    WorkerParams,
    WorkerProviders,
)
from stratd.strategy.workers.blueprint import WorkerBlueprint, WorkforceBlueprint, WorkforceParams
from stratd.strategy.workers.factory import WorkerFactory
from stratd.strategy.workers.strategy import WorkforceStrategy
from stratd.strategy.workers.workforce import Workforce

__all__ = [
    "ContextWorker",
    "Disposition",
    "ExecutionWorker",
    "OpportunityWorker",
    "PlanningWorker",
    "ThreatWorker",
    "Verdict",
    "Worker",
    "WorkerBlueprint",
    "WorkerFactory",
    "WorkerKind",
    "WorkerParams",
    "WorkerProviders",
    "Workforce",
    "WorkforceBlueprint",
    "WorkforceParams",
    "WorkforceStrategy",
]
