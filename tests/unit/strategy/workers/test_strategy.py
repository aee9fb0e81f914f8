"""WorkforceStrategy: notifications to ticks, what is published to signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from stratd.errors import MissingDTO, WorkforceConfigError, WorkforceError
from stratd.model import Side, Signal
from stratd.model.dto import BaseContext, TradePlan
from stratd.strategy.workers import (
    ContextWorker,
    Disposition,
    ExecutionWorker,
    ThreatWorker,
    WorkforceBlueprint,
    WorkforceParams,
    WorkforceStrategy,
)
from tests.support.fake_context import START, FakeContext

MINUTES5 = 300 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class RegimeDTO:
    close: float


class Looker(ContextWorker):
    produces = (RegimeDTO,)

    @property
    def lookback(self) -> int:
        return 2

    def setup(self, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self.seen = 0

    def process(self, tick: BaseContext) -> Disposition:
        self.seen += 1
        if tick.current_price < 0.5:
            return Disposition.STOP
        self.put(tick, RegimeDTO(float(self.bars(tick).close[-1])))
        return Disposition.CONTINUE

    def save_state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


class Idle(ContextWorker):
    produces = (RegimeDTO,)

    def process(self, tick: BaseContext) -> Disposition:
        return Disposition.CONTINUE


class Shouter(ThreatWorker):
    def process(self, tick: BaseContext) -> Disposition:
        return Disposition.publish("danger")


class Buyer(ExecutionWorker):
    requires = (RegimeDTO,)

    def process(self, tick: BaseContext) -> Disposition:
        price = self.get(tick, RegimeDTO).close
        return Disposition.publish(Signal(tick.asset, Side.BUY, reason=f"{price:g}"))


class Planner(ExecutionWorker):
    def process(self, tick: BaseContext) -> Disposition:
        return Disposition.publish(TradePlan(tick.asset, Side.SELL, "plan", 0.5, -0.1, 3.0, 4.0, 2.0))


class Wrong(ExecutionWorker):
    def process(self, tick: BaseContext) -> Disposition:
        return Disposition.publish(42)


def strategy(*names: str, **more: Any) -> WorkforceStrategy:
    classes = {one.__name__: one for one in (Looker, Idle, Shouter, Buyer, Planner, Wrong)}
    kinds: dict[str, list[dict[str, str]]] = {}
    for name in names:
        kinds.setdefault(f"{classes[name].kind}_workers", []).append({"name": f"{__name__}:{name}"})
    made = WorkforceStrategy[WorkforceParams]()
    made.params = WorkforceParams(workforce=WorkforceBlueprint.model_validate(kinds), **more)
    return made


def rows(*closes: float) -> list[tuple[float, float, float, float]]:
    return [(close, close, close, close) for close in closes]


def test_setup_subscribes_with_the_longest_lookback_and_sets_workers_up() -> None:
    context = FakeContext({"AAA": rows(1, 2, 3), "ABB": rows(1, 2, 3), "BBB": rows(1, 2, 3)})
    made = strategy("Looker", "Buyer", symbols=("A*",))
    signals = context.play(made)
    assert context.lookback == 2
    assert made.workforce.order[0].symbols == ("AAA", "ABB")  # type: ignore[attr-defined]
    assert [(now - START, signal.symbol, signal.reason) for now, signal in signals] == [
        (2 * MINUTES5, "AAA", "2"),
        (2 * MINUTES5, "ABB", "2"),
        (3 * MINUTES5, "AAA", "3"),
        (3 * MINUTES5, "ABB", "3"),
    ]


def test_on_bars_gives_each_asset_of_a_tick_its_own_dtos() -> None:
    signals = FakeContext({"AAA": rows(1, 2), "BBB": rows(10, 20)}).play(strategy("Looker", "Buyer"))
    assert [(signal.symbol, signal.reason) for _, signal in signals] == [("AAA", "2"), ("BBB", "20")]


def test_stop_ends_the_tick_of_that_asset_only() -> None:
    signals = FakeContext({"AAA": rows(1, 0.1, 3), "BBB": rows(1, 2, 3)}).play(strategy("Looker", "Buyer"))
    assert [(signal.symbol, signal.reason) for _, signal in signals] == [("BBB", "2"), ("AAA", "3"), ("BBB", "3")]


def test_trade_plan_of_an_execution_worker_becomes_a_signal() -> None:
    signals = FakeContext({"AAA": rows(1)}).play(strategy("Planner"))
    assert [signal for _, signal in signals] == [
        Signal("AAA", Side.SELL, 0.5, "plan", target_weight=-0.1, stop_price=4.0, take_profit_price=2.0)
    ]


def test_trade_plan_as_limit_signal_carries_its_entry_price() -> None:
    assert TradePlan("AAA", Side.BUY, "plan", entry_price=3.0).to_signal(limit=True).limit_price == 3.0


def test_published_by_other_kinds_is_no_signal_but_logged() -> None:
    context = FakeContext({"AAA": rows(1)})
    assert context.play(strategy("Shouter")) == []
    assert context.log.lines == [("info", "published", {"worker": "Shouter", "value": "danger"})]


def test_execution_worker_that_publishes_something_else_is_refused() -> None:
    with pytest.raises(WorkforceError, match="execution worker Wrong published a int"):
        FakeContext({"AAA": rows(1)}).play(strategy("Wrong"))


def test_missing_dto_names_who_should_have_made_it() -> None:
    with pytest.raises(MissingDTO, match="worker Buyer needs RegimeDTO for AAA.*Idle should have made it"):
        FakeContext({"AAA": rows(1)}).play(strategy("Idle", "Buyer"))


def test_setup_with_unmet_need_is_a_configuration_error() -> None:
    with pytest.raises(WorkforceConfigError, match="Buyer requires RegimeDTO, which no worker produces"):
        FakeContext({"AAA": rows(1)}).begin(strategy("Buyer"))


def test_teardown_ends_the_last_tick() -> None:
    made = strategy("Looker")
    FakeContext({"AAA": rows(1, 2)}).play(made)
    assert not made.provider.has_dto(RegimeDTO, "AAA")


def test_state_goes_to_workers_by_name_and_says_who_is_gone() -> None:
    made = strategy("Looker", "Buyer")
    context = FakeContext({"AAA": rows(1, 2, 3)})
    context.play(made)
    assert made.save_state() == {"Looker": {"seen": 2}}
    again = strategy("Looker", "Buyer")
    context = FakeContext({"AAA": rows(1)})
    context.begin(again)
    again.restore_state({"Looker": {"seen": 9}, "Gone": {"a": 1}})
    assert again.save_state() == {"Looker": {"seen": 9}}
    assert context.log.lines == [("warning", "state of a worker that is no longer there", {"worker": "Gone"})]


def test_two_strategies_of_one_blueprint_share_no_worker_and_no_provider() -> None:
    one, two = strategy("Looker"), strategy("Looker")
    for made in (one, two):
        FakeContext({"AAA": rows(1)}).begin(made)
    assert one.provider is not two.provider
    assert one.workforce.order[0] is not two.workforce.order[0]
    assert one.workforce.order[0].context is one.provider
