"""TradingContextProvider."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from stratd.errors import MissingDTO, WorkforceError
from stratd.model.dto import BaseContext
from stratd.strategy.context_provider import ITradingContextProvider, TradingContextProvider


@dataclass(frozen=True, slots=True)
class Regime:
    value: int


@dataclass(frozen=True, slots=True)
class Plan:
    value: int


@dataclass
class StubWorker:
    name: str
    requires: tuple[type, ...] = ()
    produces: tuple[type, ...] = field(default=(Regime, Plan))


MAKER = StubWorker("maker")
USER = StubWorker("user", requires=(Regime,), produces=())


def in_tick(timestamp: int = 10) -> TradingContextProvider:
    provider = TradingContextProvider({Regime: "maker"})
    provider.start_new_tick(timestamp, 5.0, "AAA")
    return provider


def test_provider_conforms_to_the_protocol_for_type_checkers() -> None:
    conforming: ITradingContextProvider = in_tick()
    assert conforming.get_base_context() == BaseContext(10, 5.0, "AAA")


def test_base_context_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        in_tick().get_base_context().current_price = 6.0  # type: ignore[misc]


def test_set_result_dto_is_read_back_by_what_a_worker_declares() -> None:
    provider = in_tick()
    provider.set_result_dto(MAKER, Regime(1))
    assert provider.get_required_dtos(USER) == {Regime: Regime(1)}
    assert provider.get_required_dtos(USER, ()) == {}
    assert provider.get_required_dtos(USER, (Regime, BaseContext), "AAA")[BaseContext].current_price == 5.0


def test_get_required_dtos_gives_a_dict_of_the_callers_own() -> None:
    provider = in_tick()
    provider.set_result_dto(MAKER, Regime(1))
    provider.get_required_dtos(USER).clear()
    assert provider.has_dto(Regime)


def test_start_new_tick_with_later_time_forgets_the_earlier_tick() -> None:
    provider = in_tick(10)
    provider.set_result_dto(MAKER, Regime(1))
    provider.start_new_tick(11, 6.0, "BBB")
    assert not provider.has_dto(Regime)
    assert not provider.has_dto(BaseContext, "AAA")
    assert provider.get_base_context() == BaseContext(11, 6.0, "BBB")


def test_start_new_tick_at_same_time_joins_an_asset_and_keeps_the_primary_one() -> None:
    provider = in_tick(10)
    provider.set_result_dto(MAKER, Regime(1))
    provider.start_new_tick(10, 7.0, "BBB")
    assert not provider.has_dto(Regime, "BBB")
    provider.set_result_dto(MAKER, Regime(2), "BBB")
    assert provider.get_required_dtos(USER) == {Regime: Regime(1)}
    assert provider.get_required_dtos(USER, asset="BBB") == {Regime: Regime(2)}
    assert provider.get_base_context().asset == "AAA"
    assert provider.get_base_context("BBB").current_price == 7.0


def test_start_new_tick_for_same_asset_again_renews_the_price_and_keeps_dtos() -> None:
    provider = in_tick(10)
    provider.set_result_dto(MAKER, Regime(1))
    provider.start_new_tick(10, 5.5, "AAA")
    assert provider.get_base_context().current_price == 5.5
    assert provider.has_dto(Regime)


@pytest.mark.parametrize("cleared", [False, True])
def test_start_new_tick_with_earlier_time_is_refused(cleared: bool) -> None:
    provider = in_tick(10)
    if cleared:
        provider.clear()
    with pytest.raises(WorkforceError, match="event time does not go back"):
        provider.start_new_tick(9, 5.0, "AAA")


def test_missing_dto_names_worker_dto_asset_and_who_should_have_made_it() -> None:
    with pytest.raises(MissingDTO, match="worker user needs Regime for AAA.*maker should have made it") as caught:
        in_tick().get_required_dtos(USER)
    assert (caught.value.worker, caught.value.dto, caught.value.asset, caught.value.producer) == (
        "user",
        "Regime",
        "AAA",
        "maker",
    )


def test_missing_dto_without_producer_says_that_nobody_makes_it() -> None:
    with pytest.raises(MissingDTO, match="no worker of this workforce makes it"):
        in_tick().get_required_dtos(USER, (Plan,))


def test_missing_dto_of_an_asset_outside_the_tick_names_that_asset() -> None:
    with pytest.raises(MissingDTO, match="for ZZZ"):
        in_tick().get_required_dtos(USER, asset="ZZZ")


def test_set_result_dto_of_another_workers_type_is_refused() -> None:
    provider = in_tick()
    provider.set_result_dto(MAKER, Regime(1))
    with pytest.raises(WorkforceError, match="worker second sets Regime, which maker has set"):
        provider.set_result_dto(StubWorker("second"), Regime(2))
    assert provider.get_required_dtos(USER) == {Regime: Regime(1)}


def test_set_result_dto_again_by_its_maker_replaces() -> None:
    provider = in_tick()
    provider.set_result_dto(MAKER, Regime(1))
    provider.set_result_dto(MAKER, Regime(2))
    assert provider.get_required_dtos(USER) == {Regime: Regime(2)}


def test_set_result_dto_by_another_worker_in_the_next_tick_is_allowed() -> None:
    provider = in_tick(10)
    provider.set_result_dto(MAKER, Regime(1))
    provider.start_new_tick(11, 5.0, "AAA")
    provider.set_result_dto(StubWorker("second"), Regime(2))
    assert provider.has_dto(Regime)


def test_set_result_dto_that_is_not_declared_is_refused() -> None:
    with pytest.raises(WorkforceError, match="add it to `produces`"):
        in_tick().set_result_dto(USER, Plan(1))


def test_base_context_cannot_be_set_by_a_worker() -> None:
    with pytest.raises(WorkforceError):
        in_tick().set_result_dto(MAKER, BaseContext(10, 1.0, "AAA"))


def test_asset_outside_the_tick_is_refused_with_those_in_it() -> None:
    provider = in_tick()
    with pytest.raises(WorkforceError, match="ZZZ is not part of the tick at 10, which has: AAA"):
        provider.get_base_context("ZZZ")
    with pytest.raises(WorkforceError, match="ZZZ is not part"):
        provider.set_result_dto(MAKER, Regime(1), "ZZZ")
    assert not provider.has_dto(Regime, "ZZZ")


@pytest.mark.parametrize("cleared", [False, True])
def test_provider_without_tick_has_nothing(cleared: bool) -> None:
    provider = TradingContextProvider()
    if cleared:
        provider.start_new_tick(1, 1.0, "AAA")
        provider.clear()
    assert not provider.has_dto(BaseContext)
    for ask in (
        provider.get_base_context,
        lambda: provider.get_required_dtos(USER),
        lambda: provider.set_result_dto(MAKER, Plan(1)),
    ):
        with pytest.raises(WorkforceError, match="no tick has begun"):
            ask()


def test_clear_then_same_time_begins_afresh() -> None:
    provider = in_tick(10)
    provider.set_result_dto(MAKER, Regime(1))
    provider.clear()
    provider.start_new_tick(10, 5.0, "AAA")
    assert not provider.has_dto(Regime)


def test_provider_has_no_room_for_other_attributes() -> None:
    with pytest.raises(AttributeError):
        in_tick().strategy_id = "x"  # type: ignore[attr-defined]
