"""The demonstrations ict_smc and smart_dca, run on made bars."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stratd.model import Interval, Position, Side
from stratd.model.dto import TradePlan
from stratd.strategy.context_provider import TradingContextProvider
from stratd.strategy.workers import WorkerProviders, WorkforceBlueprint
from tests.support.examples import loaded
from tests.support.fake_context import START, FakeContext, Row, random_rows


@pytest.fixture(scope="module")
def ict() -> Iterator[Any]:
    with loaded("ict_smc", "ict_fresh") as module:
        yield module


@pytest.fixture(scope="module")
def dca() -> Iterator[Any]:
    with loaded("smart_dca", "dca_fresh") as module:
        yield module


def changed(params: Any, worker: str, **values: Any) -> Any:
    """The default parameters with some of one worker's replaced."""
    raw = params().model_dump()
    found = [entry for kind in raw["workforce"].values() for entry in kind if entry["name"] == worker]
    assert len(found) == 1
    found[0]["params"] = values
    return params(workforce=raw["workforce"])


def run(strategy_class: Any, params: Any, rows: dict[str, list[Row]], history: int = 1000) -> tuple[Any, list[Any]]:
    made = strategy_class()
    made.params = params
    return made, FakeContext(rows, history=history).play(made)


FLAT: Row = (100.0, 100.0, 100.0, 100.0)
ROWS = {"AAA": random_rows(1, 700), "BBB": random_rows(2, 700)}


def test_ict_trades_and_every_entry_is_sound(ict: Any) -> None:
    _, signals = run(ict.IctSmc, ict.IctSmcParams(), ROWS)
    assert {signal.side for _, signal in signals} == {Side.BUY, Side.SELL, Side.FLAT}
    for symbol in ROWS:
        of_symbol = [signal for _, signal in signals if signal.symbol == symbol]
        entries, exits = of_symbol[::2], of_symbol[1::2]
        assert all(signal.side is Side.FLAT for signal in exits)
        for signal in entries:
            way = 1 if signal.side is Side.BUY else -1
            assert way * (signal.take_profit_price - signal.stop_price) > 0
            assert 0.3 <= signal.strength <= 1


def test_ict_reads_only_the_past(ict: Any) -> None:
    _, whole = run(ict.IctSmc, ict.IctSmcParams(), ROWS)
    _, part = run(ict.IctSmc, ict.IctSmcParams(), {symbol: rows[:400] for symbol, rows in ROWS.items()})
    assert part
    assert whole[: len(part)] == part


def test_ict_signals_do_not_depend_on_how_much_history_is_held(ict: Any) -> None:
    params = changed(ict.IctSmcParams, "StructureRegime", range_bars=20)
    _, long = run(ict.IctSmc, params, ROWS, history=1000)
    _, short = run(ict.IctSmc, params, ROWS, history=25)
    assert long == short
    assert long


def test_ict_takes_up_bars_that_it_was_not_notified_of(ict: Any) -> None:
    def state(until: int, skip: range) -> Any:
        made = ict.IctSmc()
        made.params = ict.IctSmcParams()
        context = FakeContext({"AAA": ROWS["AAA"]})
        context.begin(made)
        for number in range(until):
            context.step(made, notify=number not in skip)
        swings, gaps = (worker._of["AAA"] for worker in made.workforce.order[:2])
        return swings.trend, swings.swing_high, swings.swing_low, gaps.untouched, gaps.entered

    for until in (320, 350, 400):
        assert state(until, range(300, until - 1)) == state(until, range(0))


def test_ict_without_shorts_never_sells(ict: Any) -> None:
    _, signals = run(ict.IctSmc, changed(ict.IctSmcParams, "FixedRiskPlanner", allow_short=False), ROWS)
    assert {signal.side for _, signal in signals} == {Side.BUY, Side.FLAT}


def test_ict_limit_entry_carries_the_price(ict: Any) -> None:
    _, signals = run(ict.IctSmc, changed(ict.IctSmcParams, "SignalExecution", limit_entry=True), ROWS)
    assert all((signal.limit_price is None) == (signal.side is Side.FLAT) for _, signal in signals)


def test_ict_holds_across_a_restart(ict: Any) -> None:
    made = ict.IctSmc()
    made.params = ict.IctSmcParams()
    context = FakeContext(ROWS)
    context.begin(made)
    while not context.signals:
        context.step(made)
    state = made.save_state()
    assert set(state["FixedRiskPlanner"]) == {context.signals[0][1].symbol}
    again = ict.IctSmc()
    again.params = made.params
    FakeContext(ROWS).begin(again)
    again.restore_state(state)
    assert again.save_state() == state


def test_dca_buys_at_regular_event_times_and_sizes_by_regime(dca: Any) -> None:
    # 101 bars of 5 minutes around 100 (a window of 100 true ranges), then far below, then far above.
    near = [(100.0, 101.0, 99.0, 100.0 + (0.5 if i % 2 else -0.5)) for i in range(100)] + [FLAT]
    made, signals = run(
        dca.SmartDca,
        changed(dca.SmartDcaParams, "DcaPlanner", every_minutes=5, pause_above=1.0, max_weight=1.0),
        {"AAA": [*near, (97.0, 97.0, 97.0, 97.0), (103.0, 103.0, 103.0, 103.0)]},
    )
    sizes = [after.target_weight - before.target_weight for (_, before), (_, after) in pairwise(signals)]
    assert [signal.reason.split(":")[0] for _, signal in signals] == ["fair", "cheap", "dear"]
    assert sizes == pytest.approx([0.02, 0.005])
    assert made.workforce.lookback == 101


def told(strategy_class: Any, params: Any, rows: list[Row], kinds: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The DTOs of these kinds at every tick, and the number of rows at it."""
    made = strategy_class()
    made.params = params
    context = FakeContext({"AAA": rows})
    context.begin(made)
    found = []
    for count in range(1, len(rows) + 1):
        context.step(made)
        if count >= context.lookback:
            found.append(
                (count, {name: made.provider.get_required_dtos(None, (kind,), "AAA")[kind] for name, kind in kinds.items()})
            )
    return found


# Moves, then stands still for longer than any window, then moves again.
STANDING = [*ROWS["AAA"][:150], *[(ROWS["AAA"][149][3],) * 4] * 150, *ROWS["BBB"][:100]]


def test_dca_regime_and_risk_are_what_their_formulas_say(dca: Any) -> None:
    from importlib import import_module

    dtos = import_module("dca_fresh.dtos")
    kinds = {"regime": dtos.MarketRegimeDTO, "risk": dtos.RiskAssessmentDTO}
    found = told(dca.SmartDca, dca.SmartDcaParams(), STANDING, kinds)  # type: ignore[arg-type]
    assert [count for count, _ in found] == list(range(101, 401))
    high, low, close = np.array(STANDING).T[1:]
    before = np.concatenate([[np.nan], close[:-1]])
    ranges = np.maximum(high, before) - np.minimum(low, before)
    for count, of in found:
        window, recent = slice(count - 100, count), slice(count - 10, count)
        spread = 0.0 if np.ptp(close[window]) == 0 else close[window].std()
        deviation = (close[count - 1] - close[window].mean()) / spread if spread else 0.0
        agitation = ranges[recent].mean() / ranges[window].mean() if ranges[window].any() else 1.0
        assert of["regime"].deviation == pytest.approx(deviation, abs=1e-9)
        assert of["risk"].agitation == pytest.approx(agitation, abs=1e-9)
        assert of["risk"].drawdown_fraction == pytest.approx(1 - close[count - 1] / high[window].max(), abs=1e-12)
    assert [of["risk"].agitation for count, of in found if 251 <= count <= 300] == [1.0] * 50


def test_ict_regime_is_what_its_formulas_say(ict: Any) -> None:
    from importlib import import_module

    kinds = {"regime": import_module("ict_fresh.dtos").MarketRegimeDTO}
    found = told(ict.IctSmc, ict.IctSmcParams(), STANDING, kinds)  # type: ignore[arg-type]
    assert [count for count, _ in found] == list(range(60, 401))
    high, low, close = np.array(STANDING).T[1:]
    for count, of in found:
        window, recent = slice(count - 60, count), slice(count - 10, count)
        top, bottom = high[window].max(), low[window].min()
        whole = (high - low)[window].mean()
        assert of["regime"].expansion == pytest.approx((high - low)[recent].mean() / whole if whole else 0.0, abs=1e-9)
        assert of["regime"].location == pytest.approx((close[count - 1] - bottom) / (top - bottom) if top > bottom else 0.5)
    assert {(of["regime"].expansion, of["regime"].location) for count, of in found if 210 <= count <= 300} == {(0.0, 0.5)}


@pytest.mark.parametrize(
    ("package", "params", "worker"), [("ict", "IctSmcParams", "StructureRegime"), ("dca", "SmartDcaParams", "RiskAssessor")]
)
def test_recent_bars_above_the_window_count_as_the_window(ict: Any, dca: Any, package: str, params: str, worker: str) -> None:
    module, strategy = (ict, "IctSmc") if package == "ict" else (dca, "SmartDca")
    values = {"range_bars": 10, "recent_bars": 50} if package == "ict" else {"window": 10, "recent": 50}
    made, _ = run(getattr(module, strategy), changed(getattr(module, params), worker, **values), {"AAA": ROWS["AAA"][:110]})
    (one,) = [each for each in made.workforce.order if each.name == worker]
    handle = one._expansion["AAA"] if package == "ict" else one._agitation["AAA"]
    assert handle.value == 1.0


def test_dca_never_exceeds_the_largest_weight(dca: Any) -> None:
    params = changed(dca.SmartDcaParams, "DcaPlanner", every_minutes=5, max_weight=0.05)
    _, signals = run(dca.SmartDca, params, ROWS)
    for symbol in ROWS:
        weights = [signal.target_weight for _, signal in signals if signal.symbol == symbol]
        assert weights == sorted(set(weights))
        assert weights[-1] == 0.05


def test_dca_waits_the_stated_event_time_between_purchases(dca: Any) -> None:
    _, signals = run(dca.SmartDca, changed(dca.SmartDcaParams, "DcaPlanner", every_minutes=60), {"AAA": ROWS["AAA"]})
    times = [now for now, _ in signals]
    assert len(times) > 5
    assert all(after - before >= 3600 * 10**9 for before, after in pairwise(times))


def test_dca_pauses_while_the_market_falls_hard_and_buys_after(dca: Any) -> None:
    fall = [(100.0 - i, 100.0 - i, 99.0 - i, 99.0 - i) for i in range(40)]
    calm = [(60.0 + (i % 2) * 0.1,) * 4 for i in range(120)]
    rows: list[Row] = [*([FLAT] * 101), *fall, *calm]  # type: ignore[list-item]
    params = changed(dca.SmartDcaParams, "DcaPlanner", every_minutes=5, max_weight=1.0, base_weight=0.001)
    _, signals = run(dca.SmartDca, params, {"AAA": rows})
    bought = {(now - START) // (300 * 10**9) - 1 for now, _ in signals}  # numbers of bars
    assert 100 in bought
    assert not bought & set(range(131, 141))
    assert any(number > 200 for number in bought)


def test_dca_survives_a_market_that_does_not_move(dca: Any) -> None:
    _, signals = run(dca.SmartDca, dca.SmartDcaParams(), {"AAA": [FLAT] * 150})
    assert [signal.reason for _, signal in signals] == ["fair: +0.0 deviations from the mean"] * 2


def test_dca_goes_on_after_a_restart(dca: Any) -> None:
    made, signals = run(dca.SmartDca, dca.SmartDcaParams(), {"AAA": ROWS["AAA"]})
    state = made.save_state()["DcaPlanner"]
    assert state["weight"] == {"AAA": signals[-1][1].target_weight}
    again = dca.SmartDca()
    again.params = made.params
    FakeContext({"AAA": ROWS["AAA"]}).begin(again)
    again.restore_state({"DcaPlanner": state})
    assert again.save_state()["DcaPlanner"] == state


@pytest.mark.parametrize(
    ("package", "strategy", "params"), [("ict_smc", "IctSmc", "IctSmcParams"), ("smart_dca", "SmartDca", "SmartDcaParams")]
)
def test_example_gives_the_same_signals_every_time_under_any_name(package: str, strategy: str, params: str) -> None:
    told = []
    for name in ("fresh_one", "fresh_two"):
        with loaded(package, name) as module:
            told.append(run(getattr(module, strategy), getattr(module, params)(), ROWS)[1])
    assert told[0] == told[1]
    assert told[0]


def test_examples_have_regimes_of_their_own_at_the_same_time_on_the_same_asset(ict: Any, dca: Any) -> None:
    """Both at once, in threads, in lock step: each finds its own class, never the other's."""
    from importlib import import_module

    own = {
        "ict": import_module("ict_fresh.dtos").MarketRegimeDTO,
        "dca": import_module("dca_fresh.dtos").MarketRegimeDTO,
    }
    assert own["ict"] is not own["dca"]
    assert own["ict"].__name__ == own["dca"].__name__
    made: dict[str, Any] = {"ict": ict.IctSmc(), "dca": dca.SmartDca()}
    made["ict"].params, made["dca"].params = ict.IctSmcParams(), dca.SmartDcaParams()
    contexts = {name: FakeContext(ROWS) for name in made}
    barrier = threading.Barrier(2)
    seen: list[tuple[str, bool, bool]] = []

    def play(name: str, other: str) -> None:
        strategy, context = made[name], contexts[name]
        try:
            context.begin(strategy)
            for number in range(300):
                context.step(strategy)
                barrier.wait(10)
                if number > 150:
                    has = strategy.provider.has_dto
                    seen.append((name, has(own[name], "AAA"), has(own[other], "AAA")))
                barrier.wait(10)
        except BaseException:
            barrier.abort()  # the other thread must not wait for this one
            raise

    threads = [threading.Thread(target=play, args=pair) for pair in (("ict", "dca"), ("dca", "ict"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 2 * 149
    assert all(mine and not others for _, mine, others in seen)
    for name, strategy_class, params in (("ict", ict.IctSmc, ict.IctSmcParams()), ("dca", dca.SmartDca, dca.SmartDcaParams())):
        alone = run(strategy_class, params, {symbol: rows[:300] for symbol, rows in ROWS.items()})[1]
        assert contexts[name].signals == alone


def test_worker_parameters_have_bounds(ict: Any, dca: Any) -> None:
    from importlib import import_module

    detection = import_module("ict_fresh.workers.detection")
    with pytest.raises(ValidationError):
        detection.StructureParams(swing=0)
    with pytest.raises(ValidationError):
        import_module("dca_fresh.workers").DcaParams(base_weight=2)


def test_blueprint_of_an_example_can_be_written_to_a_session_file_and_back(ict: Any) -> None:
    raw = ict.IctSmcParams().model_dump(mode="json")
    assert ict.IctSmcParams.model_validate(raw) == ict.IctSmcParams()
    assert isinstance(ict.IctSmcParams().workforce, WorkforceBlueprint)


def test_threat_endangers_its_side_and_flat_endangers_both() -> None:
    from stratd.model.dto import ThreatSignal

    threat = ThreatSignal("AAA", Side.BUY, 1.0, "")
    assert (threat.endangers(Side.BUY), threat.endangers(Side.SELL)) == (True, False)
    assert replace(threat, against=Side.FLAT).endangers(Side.SELL)


# --- the planner of ict_smc and what is held in fact ----------------------------------------------------------------


class Planned:
    """A planner with one plan, bars to look at and an account that says what it is told to."""

    def __init__(self, plan: dict[str, Any] | None, high: float, low: float) -> None:
        from importlib import import_module

        decision = import_module("ict_fresh.workers.decision")
        self.quantity, self.working = 0.0, 0
        self.context = TradingContextProvider({})
        series: Any = SimpleNamespace(low=[low], high=[high])
        nothing: Any = None
        providers = WorkerProviders(
            self.context,
            Interval("5m"),
            lambda symbol, interval: series,
            nothing,
            nothing,
            nothing,
            position=lambda symbol: Position(symbol=symbol, quantity=self.quantity),
            orders=lambda symbol: (None,) * self.working,  # type: ignore[return-value]
        )
        self.planner = decision.FixedRiskPlanner("planner", decision.PlannerParams(), providers)
        self.planner.setup(("AAA",))
        self.planner.restore_state({} if plan is None else {"AAA": plan})
        self.ticks = 0

    def fill(self, quantity: float) -> None:
        """A fill after which so much is held."""
        self.quantity = quantity
        fill: Any = SimpleNamespace(symbol="AAA", price=100.0)
        self.planner.on_fill(fill)

    def says(self) -> str | None:
        """The reason of the plan at the next tick."""
        self.ticks += 1
        self.context.clear()
        self.context.start_new_tick(START + self.ticks, 100.0, "AAA")
        self.planner.process(self.context.get_base_context("AAA"))
        made = self.planner.find(self.context.get_base_context("AAA"), TradePlan)
        return None if made is None else made.reason


PLAN = {"side": "buy", "stop_price": 99.0, "target_price": 101.0}


def test_ict_planner_follows_on_bars_what_has_not_filled(ict: Any) -> None:
    assert Planned(PLAN, 101.0, 100.0).says() == "target 101 reached"
    assert Planned(PLAN, 100.5, 99.0).says() == "stop 99 reached"
    assert Planned(PLAN, 101.0, 99.0).says() == "stop 99 reached"  # where a bar cannot tell, the worse
    assert Planned(PLAN, 100.9, 99.1).says() is None


def test_ict_planner_leaves_stop_and_target_of_what_has_filled_to_their_orders(ict: Any) -> None:
    stage = Planned(PLAN, 101.0, 99.0)
    stage.fill(10.0)
    assert stage.says() is None
    assert stage.planner.save_state()["AAA"]["filled"] is True
    stage.fill(0.0)
    assert stage.planner.save_state() == {}


def test_ict_planner_waits_while_nothing_is_held_and_an_order_works(ict: Any) -> None:
    stage = Planned(PLAN, 100.5, 99.5)
    stage.working = 1
    stage.fill(0.0)
    assert set(stage.planner.save_state()) == {"AAA"}


def test_ict_planner_leaves_until_nothing_is_held_what_fills_after_it_was_given_up(ict: Any) -> None:
    stage = Planned(None, 100.5, 99.5)
    stage.fill(-3.0)
    assert [stage.says(), stage.says()] == ["still held", "still held"]
    assert stage.planner.save_state()["AAA"]["side"] == "sell"
    stage.fill(0.0)
    assert stage.says() is None
