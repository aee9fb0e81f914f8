"""Workforce: workers in the order that they need each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from stratd.errors import WorkforceConfigError
from stratd.model.dto import BaseContext
from stratd.strategy.workers.base import Verdict, Worker

# What is there without anybody making it.
_GIVEN = (BaseContext,)


class Workforce:
    """Runs the workers of one strategy, one tick at a time.

    The kinds run in the order of their phases: context, then opportunity and threat, then planning, then execution. Within
    a phase a worker runs after those that make what it requires; workers that need nothing of each other run as listed.

    Thread safety: owned by the strategy's thread.

    Args:
        workers: in the order of the blueprint.

    Attributes:
        order: the workers, in the order that they run.
        producers: who makes which DTO, by name.

    Raises:
        WorkforceConfigError: two producers of one DTO, an unmet need, a need of a later kind, or a cycle. Says all of them.
    """

    __slots__ = ("order", "producers")

    def __init__(self, workers: Iterable[Worker[Any]]) -> None:
        listed = tuple(workers)
        problems: list[str] = []
        makers = _makers(listed, problems)
        _check_needs(listed, makers, problems)
        order = _ordered(listed, makers, problems)
        if problems:
            raise WorkforceConfigError("\n".join(problems))
        self.order: tuple[Worker[Any], ...] = order
        self.producers: Mapping[type, str] = {dto_type: maker.name for dto_type, maker in makers.items()}

    @property
    def lookback(self) -> int:
        """Bars that have to be there before the first tick: the most that any worker asks for."""
        return max((worker.lookback for worker in self.order), default=0)

    def run(self, tick: BaseContext) -> Sequence[tuple[Worker[Any], Any]]:
        """Run every worker for one asset at one event time, until one says STOP.

        Returns:
            What was published, with its worker, in order.
        """
        published: list[tuple[Worker[Any], Any]] = []
        for worker in self.order:
            disposition = worker.process(tick)
            verdict = disposition.verdict
            if verdict is Verdict.STOP:
                break
            if verdict is Verdict.PUBLISH:
                published.append((worker, disposition.value))
        return published


def _makers(workers: tuple[Worker[Any], ...], problems: list[str]) -> dict[type, Worker[Any]]:
    makers: dict[type, Worker[Any]] = {}
    for worker in workers:
        for dto_type in worker.produces:
            other = makers.setdefault(dto_type, worker)
            if dto_type in _GIVEN:
                problems.append(f"{_said(worker)} produces {dto_type.__qualname__}, which is given: no worker may make it")
            elif other is not worker:
                problems.append(
                    f"{dto_type.__qualname__} has two producers, {_said(other)} and {_said(worker)}: remove one, "
                    "or let them make different DTOs"
                )
    return makers


def _check_needs(workers: tuple[Worker[Any], ...], makers: Mapping[type, Worker[Any]], problems: list[str]) -> None:
    for worker in workers:
        for dto_type in worker.requires:
            maker = makers.get(dto_type)
            if dto_type in _GIVEN:
                continue
            if maker is None:
                problems.append(
                    f"{_said(worker)} requires {dto_type.__qualname__}, which no worker produces{_hint(dto_type, makers)}"
                )
            elif maker.kind.phase > worker.kind.phase:
                problems.append(
                    f"{_said(worker)} requires {dto_type.__qualname__} of {_said(maker)}, "
                    f"but {worker.kind} workers run before {maker.kind} workers"
                )


def _hint(dto_type: type, makers: Mapping[type, Worker[Any]]) -> str:
    for made, maker in makers.items():
        if made.__qualname__ == dto_type.__qualname__:
            return (
                f"; {_said(maker)} makes another class of that name, {made.__module__}.{made.__qualname__} "
                f"instead of {dto_type.__module__}.{dto_type.__qualname__}"
            )
    return ""


def _ordered(
    workers: tuple[Worker[Any], ...], makers: Mapping[type, Worker[Any]], problems: list[str]
) -> tuple[Worker[Any], ...]:
    """The workers in running order. By phase: needs of an earlier phase are met by then, those of a later one were refused."""
    order: list[Worker[Any]] = []
    for phase in sorted({worker.kind.phase for worker in workers}):
        here = [worker for worker in workers if worker.kind.phase == phase]
        place = {id(worker): index for index, worker in enumerate(here)}
        needs: dict[int, list[int]] = {}
        for index, worker in enumerate(here):
            needed = [place.get(id(makers.get(dto_type))) for dto_type in worker.requires]
            needs[index] = [other for other in needed if other is not None]
        sorter = TopologicalSorter(needs)
        try:
            sorter.prepare()
        except CycleError as error:
            # The cycle as graphlib gives it runs from maker to user, its first worker repeated at the end.
            names = " → ".join(here[index].name for index in error.args[1])
            problems.append(f"{here[error.args[1][0]].kind} workers need each other in a cycle: {names}")
            continue
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order.extend(here[index] for index in ready)
            sorter.done(*ready)
    return tuple(order)


def _said(worker: Worker[Any]) -> str:
    return f"{worker.kind} worker {worker.name}"
