"""Workforce: order, refusals, one tick."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.errors import WorkforceConfigError
from stratd.model import Interval
from stratd.model.dto import BaseContext
from stratd.strategy.context_provider import TradingContextProvider
from stratd.strategy.workers import (
    ContextWorker,
    Disposition,
    ExecutionWorker,
    OpportunityWorker,
    PlanningWorker,
    ThreatWorker,
    Worker,
    WorkerParams,
    WorkerProviders,
    Workforce,
)

TICK = BaseContext(10, 5.0, "AAA")
KINDS: list[Any] = [ContextWorker, OpportunityWorker, ThreatWorker, PlanningWorker, ExecutionWorker]
PHASE = {ContextWorker: 0, OpportunityWorker: 1, ThreatWorker: 1, PlanningWorker: 2, ExecutionWorker: 3}


def nothing(*_: Any) -> Any:
    raise AssertionError("not used")


def providers(context: TradingContextProvider | None = None) -> WorkerProviders:
    return WorkerProviders(context or TradingContextProvider(), Interval("5m"), nothing, nothing, nothing, None)


def made(
    kind: Any,
    name: str,
    requires: tuple[type, ...] = (),
    produces: tuple[type, ...] = (),
    says: Disposition = Disposition.CONTINUE,
    ran: list[str] | None = None,
    lookback: int = 0,
) -> Worker[Any]:
    def process(self: Worker[Any], tick: BaseContext) -> Disposition:
        if ran is not None:
            ran.append(name)
        return says

    of_class = type(
        name,
        (kind,),
        {"process": process, "requires": requires, "produces": produces, "lookback": property(lambda self: lookback)},
    )
    return of_class(name, WorkerParams(), providers())  # type: ignore[no-any-return]


def dto(name: str) -> type:
    return type(name, (), {})


def names(workforce: Workforce) -> list[str]:
    return [worker.name for worker in workforce.order]


def test_order_follows_kinds_whatever_the_list_says() -> None:
    workers = [made(kind, kind.__name__) for kind in reversed(KINDS)]
    assert names(Workforce(workers)) == [
        "ContextWorker",
        "ThreatWorker",
        "OpportunityWorker",
        "PlanningWorker",
        "ExecutionWorker",
    ]


def test_order_within_a_phase_follows_needs_across_opportunity_and_threat() -> None:
    danger = dto("Danger")
    workers = [made(OpportunityWorker, "o", requires=(danger,)), made(ThreatWorker, "t", produces=(danger,))]
    assert names(Workforce(workers)) == ["t", "o"]


def test_unmet_need_is_refused_with_worker_and_dto() -> None:
    with pytest.raises(WorkforceConfigError, match="context worker w requires Regime, which no worker produces"):
        Workforce([made(ContextWorker, "w", requires=(dto("Regime"),))])


def test_unmet_need_with_a_namesake_says_which_class_was_made_instead() -> None:
    other = type("Regime", (), {"__module__": "elsewhere"})
    workers = [made(ContextWorker, "m", produces=(other,)), made(ContextWorker, "w", requires=(dto("Regime"),))]
    with pytest.raises(WorkforceConfigError, match=r"m makes another class of that name, elsewhere\.Regime"):
        Workforce(workers)


def test_two_producers_are_refused_with_both_names() -> None:
    regime = dto("Regime")
    with pytest.raises(WorkforceConfigError, match="Regime has two producers, context worker a and threat worker b"):
        Workforce([made(ContextWorker, "a", produces=(regime,)), made(ThreatWorker, "b", produces=(regime,))])


def test_need_of_a_later_kind_is_refused() -> None:
    plan = dto("Plan")
    workers = [made(ContextWorker, "c", requires=(plan,)), made(PlanningWorker, "p", produces=(plan,))]
    with pytest.raises(
        WorkforceConfigError, match="context worker c requires Plan of planning worker p, but context workers run before"
    ):
        Workforce(workers)


def test_cycle_is_refused_with_its_members() -> None:
    a, b = dto("A"), dto("B")
    workers = [made(ContextWorker, "x", (a,), (b,)), made(ContextWorker, "y", (b,), (a,)), made(ContextWorker, "z")]
    with pytest.raises(WorkforceConfigError, match="in a cycle: (x → y → x|y → x → y)"):
        Workforce(workers)


def test_worker_that_needs_its_own_dto_is_refused() -> None:
    a = dto("A")
    with pytest.raises(WorkforceConfigError, match="in a cycle: x → x"):
        Workforce([made(ContextWorker, "x", (a,), (a,))])


def test_all_problems_are_said_at_once() -> None:
    a, b = dto("A"), dto("B")
    workers = [made(ContextWorker, "x", (b,), (a,)), made(ContextWorker, "y", (), (a,)), made(ContextWorker, "z", (b,))]
    with pytest.raises(WorkforceConfigError) as caught:
        Workforce(workers)
    assert len(str(caught.value).splitlines()) == 3


def test_base_context_is_given_and_may_not_be_produced() -> None:
    assert names(Workforce([made(ContextWorker, "w", requires=(BaseContext,))])) == ["w"]
    with pytest.raises(WorkforceConfigError, match="BaseContext, which is given"):
        Workforce([made(ContextWorker, "w", produces=(BaseContext,))])


def test_producers_and_lookback_sum_up_the_workers() -> None:
    a = dto("A")
    workforce = Workforce([made(ContextWorker, "x", produces=(a,), lookback=7), made(ThreatWorker, "y", lookback=3)])
    assert workforce.producers == {a: "x"}
    assert workforce.lookback == 7


def test_run_collects_what_is_published_and_goes_on() -> None:
    ran: list[str] = []
    workers = [
        made(ContextWorker, "x", says=Disposition.publish(1), ran=ran),
        made(ContextWorker, "y", says=Disposition.publish(2), ran=ran),
    ]
    published = Workforce(workers).run(TICK)
    assert [(worker.name, value) for worker, value in published] == [("x", 1), ("y", 2)]
    assert ran == ["x", "y"]


def test_run_ends_at_stop_and_keeps_what_was_published_before() -> None:
    ran: list[str] = []
    workers = [
        made(ContextWorker, "x", says=Disposition.publish(1), ran=ran),
        made(ThreatWorker, "y", says=Disposition.STOP, ran=ran),
        made(ExecutionWorker, "z", says=Disposition.publish(2), ran=ran),
    ]
    workforce = Workforce(workers)
    assert [value for _, value in workforce.run(TICK)] == [1]
    assert ran == ["x", "y"]
    workforce.run(TICK)
    assert ran == ["x", "y"] * 2


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Any], list[set[int]]]:
    """Kinds in running order, and for each worker the earlier workers that it needs."""
    count = draw(st.integers(1, 12))
    kinds = sorted((draw(st.sampled_from(KINDS)) for _ in range(count)), key=PHASE.__getitem__)
    needs = [draw(st.sets(st.integers(0, i - 1), max_size=4)) if i else set() for i in range(count)]
    return kinds, needs


def workers_of(kinds: list[Any], needs: list[set[int]]) -> list[Worker[Any]]:
    dtos = [dto(f"D{i}") for i in range(len(kinds))]
    return [made(kind, f"w{i}", tuple(dtos[j] for j in sorted(needs[i])), (dtos[i],)) for i, kind in enumerate(kinds)]


@given(graphs(), st.randoms(use_true_random=False))
def test_any_graph_without_cycle_is_ordered_so_that_needs_come_first(
    graph: tuple[list[Any], list[set[int]]], shuffle: Any
) -> None:
    kinds, needs = graph
    listed = workers_of(kinds, needs)
    shuffle.shuffle(listed)
    place = {worker.name: at for at, worker in enumerate(Workforce(listed).order)}
    assert len(place) == len(kinds)
    for i, needed in enumerate(needs):
        assert all(place[f"w{j}"] < place[f"w{i}"] for j in needed)
    phases = [PHASE[kinds[int(name[1:])]] for name in sorted(place, key=place.__getitem__)]
    assert phases == sorted(phases)


@given(graphs(), st.data())
def test_any_cycle_is_refused(graph: tuple[list[Any], list[set[int]]], data: st.DataObject) -> None:
    kinds, needs = graph
    last = data.draw(st.integers(0, len(kinds) - 1))
    first = data.draw(st.integers(0, last))
    for i in range(first + 1, last + 1):
        needs[i].add(i - 1)
    needs[first].add(last)
    listed = workers_of(kinds, needs)
    data.draw(st.randoms(use_true_random=False)).shuffle(listed)
    with pytest.raises(WorkforceConfigError, match="in a cycle|run before"):
        Workforce(listed)


@given(graphs(), st.randoms(use_true_random=False))
def test_order_is_the_same_for_the_same_list(graph: tuple[list[Any], list[set[int]]], shuffle: Any) -> None:
    listed = workers_of(*graph)
    shuffle.shuffle(listed)
    assert names(Workforce(listed)) == names(Workforce(listed))
