"""A/D line, Chaikin oscillator, on-balance volume: what is special about them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import talib

from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.volume_trend import OBV, ADLine, ChaikinOscillator

Bars = dict[str, np.ndarray]


def walk(rows: int, seed: int = 1) -> Bars:
    random = np.random.default_rng(seed)
    close = np.round(50 + np.cumsum(random.normal(0, 0.05, rows)), 2)
    high = np.round(close + 0.01 * random.integers(0, 6, rows), 2)
    low = np.round(close - 0.01 * random.integers(0, 6, rows), 2)
    return {"high": high, "low": low, "close": close, "volume": np.round(random.exponential(900.0, rows), 3)}


def flows(bars: Bars) -> np.ndarray:
    reach = np.where(bars["high"] > bars["low"], bars["high"] - bars["low"], 1.0)
    share = ((bars["close"] - bars["low"]) - (bars["high"] - bars["close"])) / reach
    return np.where(bars["high"] > bars["low"], share * bars["volume"], 0.0)


FIELDS = [
    *((spec, field) for spec in (ADLine(), ChaikinOscillator()) for field in ("high", "low", "close", "volume")),
    *((OBV(), field) for field in ("close", "volume")),
]


@pytest.mark.parametrize(
    ("spec", "field", "bad"),
    [
        *((spec, field, bad) for spec, field in FIELDS for bad in (np.nan, np.inf, -np.inf)),
        *((spec, "volume", 1e295) for spec in (ADLine(), ChaikinOscillator(), OBV())),
    ],
    ids=str,
)
def test_indicator_after_a_bad_row_goes_on_as_if_it_had_not_been(spec: Indicator, field: str, bad: float) -> None:
    bars = walk(200)
    rows = np.array([0, 1, 5, 90, 91, 150])
    dirty = {name: np.insert(values, rows, value) for (name, values), value in zip(bars.items(), (3, 2, 3, 7), strict=True)}
    at = rows + np.arange(len(rows))
    dirty[field][at] = bad
    clean, got = spec.compute(bars)["value"], spec.compute(dirty)["value"]
    assert np.isnan(got[at]).all()
    np.testing.assert_array_equal(np.delete(got, at), clean)


@pytest.mark.parametrize("field", ["high", "low", "close", "volume"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_line_at_a_bad_row_without_range_has_no_value(field: str, bad: float) -> None:
    bars = {name: np.full(9, 5.0) for name in ("high", "low", "close", "volume")}
    bars[field][4] = bad
    got = ADLine().compute(bars)["value"]
    assert np.flatnonzero(np.isnan(got)).tolist() == [4]
    assert set(np.delete(got, 4)) == {0.0}


def test_line_does_not_drift_and_a_spike_leaves_nothing() -> None:
    bars = walk(200_000)
    bars["volume"][1_000] = 1e18
    bars["high"][1_000], bars["low"][1_000], bars["close"][1_000] = 51.0, 50.0, 51.0
    bars["volume"][2_000] = 1e18
    bars["high"][2_000], bars["low"][2_000], bars["close"][2_000] = 51.0, 50.0, 50.0
    got, flow = ADLine().compute(bars)["value"], flows(bars)
    for row in (999, 1_000, 2_000, 2_001, 77_777, 199_999):
        exact = math.fsum(flow[: row + 1])
        assert abs(got[row] - exact) <= 4e-16 * abs(exact) + 1e-12, row


def test_obv_of_whole_volumes_is_exact() -> None:
    bars = walk(50_000)
    bars["volume"] = np.random.default_rng(4).integers(0, 2**36, 50_000).astype(float)
    sign = np.sign(np.diff(bars["close"])).astype(int).tolist()
    total, exact = 0, []
    for way, volume in zip([1, *sign], bars["volume"].tolist(), strict=True):
        total += way * int(volume)
        exact.append(total)
    assert OBV().compute(bars)["value"].tolist() == exact


def test_obv_of_fractions_is_that_of_exact_summation() -> None:
    bars = walk(100_000)
    bars["volume"][10] = 1e15
    flow = bars["volume"] * np.concatenate([[1.0], np.sign(np.diff(bars["close"]))])
    got = OBV().compute(bars)["value"]
    for row in (0, 11, 50_000, 99_999):
        assert got[row] == pytest.approx(math.fsum(flow[: row + 1]), rel=3e-16)


def test_obv_without_change_or_volume_stays_where_it_is() -> None:
    close = np.array([5.0, 5.0, 6.0, 6.0, 7.0, 4.0])
    volume = np.array([10.0, 20.0, 30.0, 40.0, 0.0, 7.0])
    got = OBV().compute({"close": close, "volume": volume})["value"]
    assert got.tolist() == [10.0, 10.0, 40.0, 40.0, 40.0, 33.0]


@pytest.mark.parametrize("spec", [ADLine(), ChaikinOscillator()], ids=str)
def test_indicator_without_range_or_volume_is_zero(spec: Indicator) -> None:
    still = {name: np.full(30, 5.0) for name in ("high", "low", "close", "volume")}
    assert set(spec.compute(still)["value"][9:]) == {0.0}
    idle = walk(30) | {"volume": np.zeros(30)}
    assert set(spec.compute(idle)["value"][9:]) == {0.0}


@pytest.mark.parametrize(("fast", "slow"), [(3, 10), (2, 5), (6, 7)])
def test_oscillator_has_values_in_the_same_rows_as_talib(fast: int, slow: int) -> None:
    bars, spec = walk(100), ChaikinOscillator(fast, slow)
    got = spec.compute(bars)["value"]
    theirs = talib.ADOSC(bars["high"], bars["low"], bars["close"], bars["volume"], fast, slow)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(theirs))
    assert spec.warmup == slow
    np.testing.assert_allclose(got, theirs, rtol=1e-9, atol=1e-9)


def test_oscillator_far_from_the_beginning_of_the_line_loses_no_digits() -> None:
    # The line goes up to 1e17, where neighbouring floats are 16 apart; then it moves by thousands.
    bars = walk(2_000)
    bars["volume"][5], bars["high"][5], bars["low"][5], bars["close"][5] = 1e17, 51.0, 50.0, 51.0
    got = ChaikinOscillator().compute(bars)["value"]
    line, fast, slow, flow = Fraction(0), Fraction(0), Fraction(0), flows(bars).tolist()
    for row, moved in enumerate(flow):
        line += Fraction(moved)
        if row == 0:
            fast = slow = line
        # 300 bits are enough, and keep the fractions short.
        fast = Fraction(round((fast + Fraction(1, 2) * (line - fast)) * 2**300), 2**300)
        slow = Fraction(round((slow + Fraction(2, 11) * (line - slow)) * 2**300), 2**300)
    assert abs(got[-1]) < 1e5
    assert got[-1] == pytest.approx(float(fast - slow), rel=1e-12)


def test_periods_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="fast is below slow, not 10 and 3"):
        ChaikinOscillator(10, 3)
    with pytest.raises(ValueError, match="fast is a whole number of bars, 1 or more, not 0"):
        ChaikinOscillator(0)
    with pytest.raises(ValueError, match="source is an indicator, or one of open, high"):
        OBV("closs")
