from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.model import Side
from stratd.portfolio.sizing import (
    EquityFractionSizing,
    FixedRiskSizing,
    Sizing,
    SizingInputs,
    TargetWeightSizing,
    UnitsSizing,
    VolatilityTargetSizing,
)

CLOSES = np.array([100.0, 101.0, 100.0, 102.0])


def last(closes: NDArray[np.float64]) -> Callable[[int], NDArray[np.float64]]:
    return lambda n: closes[-n:]


def inputs(side: Side = Side.BUY, **changed: Any) -> SizingInputs:
    plain: dict[str, Any] = {
        "strength": 1.0,
        "price": 100.0,
        "equity": 10_000.0,
        "stop_price": None,
        "target_weight": None,
        "closes": last(CLOSES),
        "bars_per_year": lambda: 252.0,
        "lot": 1.0,
    }
    return SizingInputs(side=side, **plain | changed)


METHODS: list[Sizing] = [
    UnitsSizing(units=10),
    EquityFractionSizing(fraction=0.5),
    TargetWeightSizing(),
    VolatilityTargetSizing(annual_volatility=0.1, lookback=4),
    FixedRiskSizing(risk_fraction=0.01),
]
SIZED = [method for method in METHODS if not isinstance(method, TargetWeightSizing)]


def named(method: Sizing) -> str:
    return type(method).__name__


@pytest.mark.parametrize(
    ("given_inputs", "wanted"),
    [
        (inputs(), 10.0),
        (inputs(Side.SELL), -10.0),
        (inputs(strength=0.55), 5.0),
        (inputs(lot=3.0), 9.0),
        (inputs(lot=0.1), 10.0),
        (inputs(price=math.nan, equity=-5.0), 10.0),  # it looks at neither
        (inputs(position=-4.0, entries=1), 10.0),
        (inputs(Side.SELL, position=4.0, entries=1), -10.0),
    ],
)
def test_units_sizing_wants_units_by_strength_in_whole_lots(given_inputs: SizingInputs, wanted: float) -> None:
    assert UnitsSizing(units=10).wanted(given_inputs) == pytest.approx(wanted)


def test_equity_fraction_sizing_by_hand() -> None:
    sizing = EquityFractionSizing(fraction=0.25)
    assert sizing.wanted(inputs()) == 25.0  # 0.25 x 10,000 / 100
    assert sizing.wanted(inputs(Side.SELL, price=300.0)) == -8.0  # 8.33
    assert sizing.wanted(inputs(price=300.0, lot=0.01)) == pytest.approx(8.33)
    assert sizing.wanted(inputs(strength=0.5)) == 12.0  # 12.5


def test_target_weight_sizing_by_hand() -> None:
    sizing = TargetWeightSizing()
    assert sizing.wanted(inputs(target_weight=0.3)) == 30.0
    assert sizing.wanted(inputs(Side.SELL, target_weight=-0.3, price=7.0)) == -428.0  # 428.57
    assert sizing.wanted(inputs(target_weight=0.3, strength=0.5)) == 30.0  # a weight says already how much
    assert sizing.wanted(inputs()) == "the signal has no target_weight, which this sizing needs"


def test_volatility_target_sizing_by_hand() -> None:
    # Log returns: 0.00995033, -0.00995033, 0.01980263; mean 0.00660088.
    returns = [math.log(1.01), -math.log(1.01), math.log(1.02)]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in returns) / 2)
    assert deviation == pytest.approx(0.0151565, abs=1e-6)
    # 0.1 / (0.0151565 x sqrt(252)) x 10,000 / 100 = 41.56
    assert VolatilityTargetSizing(annual_volatility=0.1, lookback=4).wanted(inputs()) == 41.0
    assert VolatilityTargetSizing(annual_volatility=0.1, lookback=4).wanted(inputs(Side.SELL, lot=0.01)) == pytest.approx(-41.56)
    # The last three closes: -0.00995033 and 0.01980263, deviation 0.02975296 / sqrt(2) = 0.0210385; 29.94 units.
    assert VolatilityTargetSizing(annual_volatility=0.1, lookback=3).wanted(inputs()) == 29.0


@pytest.mark.parametrize(
    ("closes", "why"),
    [
        (np.array([100.0, 101.0]), "2 of the 4 closes"),
        (np.full(4, 100.0), "no volatility"),
        (100.0 * 1.01 ** np.arange(4.0), "no volatility"),
        (np.array([100.0, math.nan, 99.0, 100.0]), "no volatility"),
        (np.array([100.0, 0.0, 99.0, 100.0]), "no volatility"),
    ],
)
def test_volatility_target_sizing_closes_without_volatility_give_a_reason(closes: NDArray[np.float64], why: str) -> None:
    wanted = VolatilityTargetSizing(annual_volatility=0.1, lookback=4).wanted(inputs(closes=last(closes)))
    assert isinstance(wanted, str)
    assert why in wanted


def test_volatility_target_sizing_of_what_rounding_leaves_of_a_steady_rise_gives_a_reason() -> None:
    closes = 100.0 * 1.001 ** np.arange(50.0)
    assert 0.0 < np.std(np.diff(np.log(closes)), ddof=1) < 1e-12
    wanted = VolatilityTargetSizing(annual_volatility=0.1, lookback=50).wanted(inputs(closes=last(closes)))
    assert wanted == "the last 50 closes have no volatility to size by"


def test_volatility_target_sizing_asks_for_closes_only_when_it_needs_them() -> None:
    def refuse(n: int) -> NDArray[np.float64]:
        raise AssertionError(n)

    sizing = VolatilityTargetSizing(annual_volatility=0.1, lookback=4)
    assert sizing.wanted(inputs(Side.FLAT, closes=refuse)) == 0.0
    assert sizing.wanted(inputs(target_weight=0.5, closes=refuse)) == 50.0
    assert sizing.wanted(inputs(position=5.0, entries=1, closes=refuse)) == "all of max_entries are in"


def test_fixed_risk_sizing_by_hand() -> None:
    sizing = FixedRiskSizing(risk_fraction=0.01)
    assert sizing.wanted(inputs(stop_price=98.0)) == 50.0  # 100 of money / 2 to the stop
    assert sizing.wanted(inputs(Side.SELL, stop_price=103.0)) == -33.0  # 33.3
    assert sizing.wanted(inputs(stop_price=98.0, strength=0.25)) == 12.0  # 12.5


@pytest.mark.parametrize(
    ("given_inputs", "why"),
    [
        (inputs(), "the signal has no stop_price, which sizing by risk needs"),
        (inputs(stop_price=100.0), "stop_price 100.0 is not below the price 100.0"),
        (inputs(stop_price=101.0), "stop_price 101.0 is not below the price 100.0"),
        (inputs(Side.SELL, stop_price=99.0), "stop_price 99.0 is not above the price 100.0"),
    ],
)
def test_fixed_risk_sizing_without_a_stop_on_its_side_gives_a_reason(given_inputs: SizingInputs, why: str) -> None:
    assert FixedRiskSizing(risk_fraction=0.01).wanted(given_inputs) == why


@pytest.mark.parametrize("method", METHODS, ids=named)
def test_wanted_flat_is_zero_whatever_else_is_said(method: Sizing) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"target_weight": 0.5},
        {"price": math.nan},
        {"equity": -1.0},
        {"position": 7.0, "entries": 9},
    ]
    for changed in changes:
        assert method.wanted(inputs(Side.FLAT, **changed)) == 0.0


@pytest.mark.parametrize("method", METHODS, ids=named)
def test_wanted_target_weight_is_obeyed_by_all_and_is_a_position(method: Sizing) -> None:
    held: dict[str, Any] = {"position": 80.0, "entries": 5}
    assert method.wanted(inputs(target_weight=0.5, strength=0.5)) == 50.0
    assert method.wanted(inputs(target_weight=0.5, **held)) == 50.0
    assert method.wanted(inputs(Side.SELL, target_weight=0.2, **held)) == 20.0
    assert method.wanted(inputs(Side.SELL, target_weight=-0.2, **held)) == -20.0
    wanted = method.wanted(inputs(target_weight=0.0, **held))
    assert isinstance(wanted, float)
    assert str(wanted) == "0.0"


@pytest.mark.parametrize("method", [m for m in METHODS if not isinstance(m, UnitsSizing)], ids=named)
@pytest.mark.parametrize("weight", [None, 0.5])
@pytest.mark.parametrize(("field", "value"), [("price", math.nan), ("price", 0.0), ("equity", 0.0), ("equity", math.nan)])
def test_wanted_without_price_or_equity_is_a_reason(method: Sizing, weight: float | None, field: str, value: float) -> None:
    changed: dict[str, Any] = {"target_weight": weight, "stop_price": 98.0, field: value}
    wanted = method.wanted(inputs(**changed))
    if isinstance(method, TargetWeightSizing) and weight is None:
        assert wanted == "the signal has no target_weight, which this sizing needs"
    else:
        assert isinstance(wanted, str)
        assert wanted.startswith(f"there is no {field} to size by")


@pytest.mark.parametrize("method", SIZED, ids=named)
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_wanted_on_the_position_s_side_changes_nothing_once_it_is_entered(method: Sizing, side: Side) -> None:
    held = 5.0 if side is Side.BUY else -5.0
    stop = 98.0 if side is Side.BUY else 102.0
    assert method.wanted(inputs(side, stop_price=stop, position=held, entries=1)) == "all of max_entries are in"


@pytest.mark.parametrize(
    ("side", "position", "entries", "wanted"),
    [
        (Side.BUY, 0.0, 0, 10.0),
        (Side.BUY, 10.0, 1, 20.0),
        (Side.BUY, 18.0, 2, 28.0),
        (Side.BUY, 28.0, 3, "all of max_entries are in"),
        (Side.SELL, -10.0, 2, -20.0),
        (Side.SELL, -10.0, 3, "all of max_entries are in"),
        (Side.SELL, 28.0, 3, -10.0),
        (Side.BUY, -28.0, 3, 10.0),
    ],
)
def test_wanted_max_entries_bounds_how_often_a_position_is_added_to(
    side: Side, position: float, entries: int, wanted: float | str
) -> None:
    assert UnitsSizing(units=10, max_entries=3).wanted(inputs(side, position=position, entries=entries)) == wanted


def test_wanted_less_than_a_lot_gives_a_reason_and_still_leaves_the_other_side() -> None:
    sizing = UnitsSizing(units=0.5, max_entries=2)
    for held in (0.0, 3.0):
        assert sizing.wanted(inputs(position=held, entries=1)) == "the size comes to less than one lot"
    assert sizing.wanted(inputs(position=-3.0, entries=1)) == 0.0
    assert sizing.wanted(inputs(Side.SELL, position=3.0, entries=1)) == 0.0


def test_wanted_rounding_keeps_lots_that_a_float_just_misses() -> None:
    assert UnitsSizing(units=0.3).wanted(inputs(lot=0.1)) == pytest.approx(0.3)
    assert UnitsSizing(units=0.7).wanted(inputs(lot=0.1)) == pytest.approx(0.7)
    assert UnitsSizing(units=0.29999).wanted(inputs(lot=0.1)) == pytest.approx(0.2)


@pytest.mark.parametrize("method", [m for m in SIZED if not isinstance(m, UnitsSizing)], ids=named)
@pytest.mark.parametrize("weight", [None, 0.5])
def test_wanted_more_lots_than_can_be_counted_is_a_reason(method: Sizing, weight: float | None) -> None:
    # To the stop it is next to nothing, too.
    wanted = method.wanted(inputs(price=5e-300, stop_price=1e-300, target_weight=weight))
    assert wanted == "the size comes to more lots than can be counted"


sides = st.sampled_from([Side.BUY, Side.SELL])
strengths = st.floats(0, 1)
prices = st.floats(0.01, 1e5)
equities = st.floats(1, 1e9)
lots = st.sampled_from([1e-8, 0.001, 0.1, 1.0, 100.0])


def units_of(wanted: float | str) -> float:
    return 0.0 if isinstance(wanted, str) else wanted


@given(sides, strengths, prices, equities, lots, st.floats(0.01, 3))
def test_equity_fraction_sizing_never_wants_more_than_the_fraction(
    side: Side, strength: float, price: float, equity: float, lot: float, fraction: float
) -> None:
    given_inputs = inputs(side, strength=strength, price=price, equity=equity, lot=lot)
    wanted = EquityFractionSizing(fraction=fraction).wanted(given_inputs)
    ideal = fraction * equity * strength
    if wanted == "the size comes to more lots than can be counted":
        assert ideal / price / lot > 3.9e15
        return
    units = abs(units_of(wanted))
    assert units * price <= ideal * (1 + 1e-8) + lot * price * 1e-8
    assert units * price > ideal * (1 - 1e-8) - lot * price * (1 + 1e-8)  # and less than a lot is left


@given(sides, strengths, prices, equities, lots, st.floats(0.001, 1), st.floats(1e-3, 0.9))
def test_fixed_risk_sizing_never_loses_more_than_the_risk_at_the_stop(
    side: Side, strength: float, price: float, equity: float, lot: float, risk: float, distance: float
) -> None:
    stop = price * (1 - distance if side is Side.BUY else 1 + distance)
    given_inputs = inputs(side, strength=strength, price=price, equity=equity, lot=lot, stop_price=stop)
    units = units_of(FixedRiskSizing(risk_fraction=risk).wanted(given_inputs))
    assert units * (price - stop) <= risk * equity * strength * (1 + 1e-6) + lot * price * 1e-6


@given(st.sampled_from(SIZED), sides, strengths, strengths, prices, lots)
def test_wanted_has_the_signal_s_sign_and_does_not_fall_with_strength(
    method: Sizing, side: Side, first: float, second: float, price: float, lot: float
) -> None:
    sign = 1.0 if side is Side.BUY else -1.0
    weaker, stronger = (
        units_of(method.wanted(inputs(side, strength=strength, price=price, lot=lot, stop_price=price * (1 - 0.1 * sign))))
        for strength in sorted([first, second])
    )
    assert 0.0 <= sign * weaker <= sign * stronger


@given(st.sampled_from(METHODS), sides, strengths, prices, lots, st.floats(-2, 2))
def test_wanted_target_weight_has_the_weight_s_sign_and_never_exceeds_it(
    method: Sizing, side: Side, strength: float, price: float, lot: float, weight: float
) -> None:
    wanted = method.wanted(inputs(side, strength=strength, price=price, lot=lot, target_weight=weight))
    assert isinstance(wanted, float)
    assert wanted * weight >= 0.0
    assert abs(wanted) * price <= abs(weight) * 10_000 * (1 + 1e-8) + lot * price * 1e-8


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: UnitsSizing(units=0), "units is a number above zero"),
        (lambda: UnitsSizing(units=math.inf), "units is a number above zero"),
        (lambda: UnitsSizing(units=1, max_entries=0), "max_entries is at least 1"),
        (lambda: EquityFractionSizing(fraction=-0.1), "fraction is a number above zero"),
        (lambda: VolatilityTargetSizing(annual_volatility=math.nan, lookback=20), "annual_volatility is a number above zero"),
        (lambda: VolatilityTargetSizing(annual_volatility=0.1, lookback=2), "lookback is at least 3 closes"),
        (lambda: FixedRiskSizing(risk_fraction=1.1), "risk_fraction is at most 1"),
    ],
)
def test_sizing_numbers_that_cannot_be_used_are_refused(make: Callable[[], Sizing], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make()
