"""StdDev, Variance, ZScore, Bollinger, UlcerIndex: exactness, spikes, equal prices, rows that are not numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from stratd.indicators.catalogue.deviation import Bollinger, StdDev, Variance, ZScore
from stratd.indicators.catalogue.moments import Moments
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.catalogue.ulcer import UlcerIndex


def exact_deviation(window: np.ndarray) -> float:
    """In fractions; rounded once for the variance, and once for its root."""
    values = [Fraction(float(value)) for value in window]
    mean = sum(values) / len(values)
    return math.sqrt(float(sum((value - mean) ** 2 for value in values) / len(values)))


def walk(rows: int, start: float, step: float, seed: int = 1) -> np.ndarray:
    return start + np.cumsum(np.random.default_rng(seed).normal(0, step, rows))


@pytest.mark.parametrize("tick", [0.01, None])
def test_stddev_after_200_000_rows_and_a_huge_spike_equals_fractions(tick: float | None) -> None:
    close = np.round(walk(200_000, 5_000, 0.05), 2)
    close[50_000] = 5e9
    close[120_000:120_100] = 1e-3
    got = StdDev(50).compute({"close": close}, tick=tick)["value"]
    rows = [60, 50_049, 50_050, 50_051, 90_000, 120_001, 120_148, 120_150, 120_200, *range(199_900, 200_000)]
    for row in rows:
        assert got[row] == pytest.approx(exact_deviation(close[row - 49 : row + 1]), rel=1e-10), row


def test_stddev_of_floats_on_a_long_trend_keeps_its_digits() -> None:
    # 200,000 rows away from where it began, by 1e6 deviations: a fixed base would have lost all.
    close = 100.0 + 1e-3 * np.arange(200_000) + np.random.default_rng(2).normal(0, 1e-4, 200_000)
    got = StdDev(10).compute({"close": close})["value"]
    for row in range(9, 200_000, 1_777):
        assert got[row] == pytest.approx(exact_deviation(close[row - 9 : row + 1]), rel=1e-10)


def test_stddev_of_huge_and_tiny_floats_equals_fractions() -> None:
    close = walk(3_000, 1.0, 0.1) * np.repeat([1e-100, 1e100, 1.0], 1_000)
    got = StdDev(20).compute({"close": close})["value"]
    for row in (500, 1_000, 1_010, 1_500, 2_000, 2_015, 2_019, 2_020, 2_500):
        assert got[row] == pytest.approx(exact_deviation(close[row - 19 : row + 1]), rel=1e-10), row


def test_moments_in_ticks_are_rounded_only_where_they_are_divided() -> None:
    units = np.random.default_rng(3).integers(9_000_000, 9_000_200, 2_000)
    close = units * 0.01
    got = Moments(30).compute({"close": close}, tick=0.01)
    for row in range(29, 2_000, 31):
        window = [int(unit) for unit in units[row - 29 : row + 1]]
        spread = 30 * sum(unit * unit for unit in window) - sum(window) ** 2
        assert got["deviation"][row] == (math.sqrt(spread) / 30) * 0.01
    np.testing.assert_array_equal(got["mean"], SMA(30).compute({"close": close}, tick=0.01)["value"])


def test_stddev_of_the_same_pattern_at_another_price_is_the_same_float_in_ticks() -> None:
    pattern = np.random.default_rng(4).integers(0, 50, 40)
    low, high = (np.concatenate([start + pattern, start + pattern]) * 0.01 for start in (1_000, 7_654_321))
    one, two = (StdDev(25).compute({"close": close}, tick=0.01)["value"] for close in (low, high))
    np.testing.assert_array_equal(one, two)


def test_stddev_with_a_price_between_ticks_is_exact_again_after_it() -> None:
    close = np.random.default_rng(5).integers(3_000, 3_050, 300) * 0.01
    between = close.copy()
    between[100] += 0.005
    whole, parted = (StdDev(20).compute({"close": prices}, tick=0.01)["value"] for prices in (close, between))
    for row in range(100, 120):
        assert parted[row] == pytest.approx(exact_deviation(between[row - 19 : row + 1]), rel=1e-10)
    np.testing.assert_array_equal(whole[120:], parted[120:])


def test_stddev_of_prices_too_far_apart_for_exact_sums_is_that_of_floats() -> None:
    close = np.random.default_rng(6).integers(1, 10**11, 500) * 0.01
    got = StdDev(20).compute({"close": close}, tick=0.01)["value"]
    for row in range(19, 500, 7):
        assert got[row] == pytest.approx(exact_deviation(close[row - 19 : row + 1]), rel=1e-10)


@pytest.mark.parametrize("tick", [0.01, None])
@pytest.mark.parametrize("price", [0.1, 30.07, 1e9 / 3.0])
def test_equal_prices_after_others_have_no_deviation_and_stand_in_the_middle(price: float, tick: float | None) -> None:
    close = np.concatenate([np.round(walk(500, 40, 1.0), 2), np.full(100, price)])
    bars = {"close": close}
    assert (StdDev(20).compute(bars, tick=tick)["value"][519:] == 0.0).all()
    assert (Variance(20).compute(bars, tick=tick)["value"][519:] == 0.0).all()
    assert (ZScore(20).compute(bars, tick=tick)["value"][519:] == 0.0).all()
    bands = Bollinger(20).compute(bars, tick=tick)
    assert (bands["percent_b"][519:] == 0.5).all()
    assert (bands["width"][519:] == 0.0).all()
    for name in ("middle", "upper", "lower"):
        np.testing.assert_allclose(bands[name][519:], price, rtol=1e-15)


@pytest.mark.parametrize("tick", [0.01, None])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_bollinger_is_nan_while_a_bad_row_is_in_the_window_and_right_after(bad: float, tick: float | None) -> None:
    close = np.round(walk(400, 50, 0.1), 2)
    dirty = close.copy()
    dirty[[5, 150, 160]] = bad
    clean, got = (Bollinger(10).compute({"close": prices}, tick=tick) for prices in (close, dirty))
    for name in clean:
        assert np.isnan(got[name][:15]).all()
        assert np.isnan(got[name][150:170]).all()
        assert not np.isnan(got[name][15:150]).any()
        np.testing.assert_allclose(got[name][170:], clean[name][170:], rtol=1e-10, atol=1e-12)


def test_bollinger_with_its_middle_at_zero_has_no_width() -> None:
    got = Bollinger(2).compute({"close": np.array([1.0, -1.0, 1.0])})
    np.testing.assert_array_equal(got["width"], [np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(got["percent_b"][1:], [0.25, 0.75])


def test_bollinger_shares_its_sums_with_stddev_and_bands_of_another_width() -> None:
    sums = Moments(20)
    assert StdDev(20).parts()["value"] == sums.output("deviation")
    assert Bollinger(20).parts()["middle"] == Bollinger(20, 3.0).parts()["middle"] == sums.output("mean")


def test_ulcer_of_rising_prices_is_zero_and_warms_up_over_two_windows() -> None:
    got = UlcerIndex(5).compute({"close": np.arange(1.0, 31.0)})["value"]
    assert np.isnan(got[:8]).all()
    assert (got[8:] == 0.0).all()
    assert UlcerIndex(5).warmup == 9


def test_ulcer_of_one_fall_equals_the_sum_by_hand() -> None:
    close = np.array([100.0, 100.0, 100.0, 90.0, 95.0, 100.0])
    got = UlcerIndex(3).compute({"close": close})["value"]
    assert got[4] == pytest.approx(math.sqrt((0.0 + 10.0**2 + 5.0**2) / 3.0))
    assert got[5] == pytest.approx(math.sqrt((10.0**2 + 5.0**2 + 0.0) / 3.0))


def test_ulcer_of_prices_that_are_not_above_zero_is_nan() -> None:
    assert np.isnan(UlcerIndex(2).compute({"close": np.array([0.0, 0.0, -1.0, -2.0, -1.0])})["value"]).all()


@pytest.mark.parametrize("kind", [StdDev, ZScore, Bollinger])
def test_deviation_of_one_row_is_refused(kind: type) -> None:
    with pytest.raises(ValueError, match="period is a whole number of bars, 2 or more, not 1"):
        kind(1)


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_bollinger_of_no_width_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="width is a number above 0"):
        Bollinger(20, width)
