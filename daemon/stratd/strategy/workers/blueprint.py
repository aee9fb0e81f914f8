"""Blueprints: which workers a workforce has, as a session file says it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stratd.strategy.params import StrategyParams
from stratd.strategy.workers.base import WorkerKind


class WorkerBlueprint(BaseModel):
    """One worker: its class, and its parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="a class beside the strategy, or module:Class")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the worker")


class WorkforceBlueprint(BaseModel):
    """The workers of a strategy, by kind. Order within a kind matters only where workers need nothing of each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context_workers: tuple[WorkerBlueprint, ...] = ()
    opportunity_workers: tuple[WorkerBlueprint, ...] = ()
    threat_workers: tuple[WorkerBlueprint, ...] = ()
    planning_workers: tuple[WorkerBlueprint, ...] = ()
    execution_workers: tuple[WorkerBlueprint, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> WorkforceBlueprint:
        if not any(workers for _, workers in self.by_kind()):
            raise ValueError("a workforce needs at least one worker")
        return self

    def by_kind(self) -> tuple[tuple[WorkerKind, tuple[WorkerBlueprint, ...]], ...]:
        """The workers with their kinds, in the order in which kinds run."""
        return (
            (WorkerKind.CONTEXT, self.context_workers),
            (WorkerKind.OPPORTUNITY, self.opportunity_workers),
            (WorkerKind.THREAT, self.threat_workers),
            (WorkerKind.PLANNING, self.planning_workers),
            (WorkerKind.EXECUTION, self.execution_workers),
        )


class WorkforceParams(StrategyParams):
    """Parameters of a strategy that is a workforce."""

    workforce: WorkforceBlueprint = Field(description="the workers, by kind")
