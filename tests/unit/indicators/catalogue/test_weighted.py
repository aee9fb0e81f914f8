from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.catalogue.weighted import HMA, TRIMA, VWMA, WMA

nan, inf = math.nan, math.inf
Floats = NDArray[np.float64]


def of_close(spec: Indicator, values: Floats | list[float], volume: Floats | list[float] = (), **options: float) -> Floats:
    count = volume if len(volume) else np.ones(len(values))
    return spec.compute({"close": values, "volume": count}, **options)["value"]


def spiky(rows: int) -> Floats:
    """Prices with a huge spike, a flat stretch, and a new level."""
    prices = 100.0 + np.cumsum(np.random.default_rng(2).normal(0, 0.05, rows))
    prices[rows // 4 : rows // 4 + 200] = prices[rows // 4]
    prices[rows // 2] = 1e12
    prices[rows // 4 * 3 :] += 1e5
    return prices


def exact_wma(rows: Floats, row: int, period: int) -> float:
    window = rows[row - period + 1 : row + 1].tolist()
    return float(sum(Fraction(value) * (i + 1) for i, value in enumerate(window)) / Fraction(period * (period + 1), 2))


@pytest.mark.parametrize("period", [2, 20, 90])
def test_wma_over_many_rows_with_a_huge_spike_does_not_drift(period: int) -> None:
    rows = spiky(200_000)
    got = of_close(WMA(period), rows)
    for row in (*range(50_000, 50_300, 9), *range(100_000, 100_200), *range(150_000, 150_100, 7), *range(199_800, 200_000, 5)):
        assert got[row] == pytest.approx(exact_wma(rows, row, period), rel=1e-12)


def test_wma_of_values_around_zero_does_not_drift() -> None:
    rows = np.random.default_rng(4).normal(0, 1e-4, 200_000)
    got = of_close(WMA(30), rows)
    for row in range(199_000, 200_000, 7):
        assert got[row] == pytest.approx(exact_wma(rows, row, 30), rel=1e-9, abs=1e-16)


@settings(max_examples=40, deadline=None)
@given(
    cents=st.lists(st.integers(9990, 10010), min_size=140, max_size=200),
    fast=st.integers(1, 9),
    slow=st.sampled_from([2, 30, 127]),
)
def test_wma_with_tick_compares_as_exact_fractions_do(cents: list[int], fast: int, slow: int) -> None:
    rows = [c / 100 for c in cents]
    short, long = of_close(WMA(fast), rows, tick=0.01), of_close(WMA(slow), rows, tick=0.01)

    def exact(period: int, row: int) -> Fraction:
        return Fraction(sum(cents[row - i] * (period - i) for i in range(period)), period * (period + 1) // 2)

    for row in range(max(fast, slow) - 1, len(rows)):
        difference = exact(fast, row) - exact(slow, row)
        assert np.sign(short[row] - long[row]) == (difference > 0) - (difference < 0)


def test_wma_with_tick_ties_where_sums_of_floats_do_not() -> None:
    rows = [0.1, 0.5, 0.1]  # both are 7/30
    assert of_close(WMA(2), rows)[2] != of_close(WMA(3), rows)[2]  # the reason for whole ticks
    assert of_close(WMA(2), rows, tick=0.1)[2] == of_close(WMA(3), rows, tick=0.1)[2]


def test_wma_with_a_price_between_ticks_is_right_and_exact_again_after_it() -> None:
    rows = [1.01, 1.02, 1.03, 1.005, 1.04, 1.05, 1.06, 1.07]
    got = of_close(WMA(3), rows, tick=0.01)
    for row in range(2, 8):
        assert got[row] == pytest.approx(exact_wma(np.array(rows), row, 3), rel=1e-15)
    assert got[7] == (105 + 2 * 106 + 3 * 107) / 6 * 0.01


AVERAGES = [WMA(4), HMA(4), TRIMA(4), TRIMA(5), VWMA(4)]


@pytest.mark.parametrize("spec", AVERAGES)
@pytest.mark.parametrize("tick", [0.01, None])
@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e305])
def test_average_is_nan_while_a_bad_value_is_in_its_window_and_right_again_after_it(
    spec: Indicator, tick: float | None, bad: float
) -> None:
    rows = np.round(100 + np.cumsum(np.random.default_rng(1).normal(0, 0.1, 60)), 2)
    clean = of_close(spec, rows, tick=tick)
    rows[30] = bad
    got = of_close(spec, rows, tick=tick)
    lost = np.isnan(got[30:])
    assert lost.tolist() == [True] * spec.warmup + [False] * (30 - spec.warmup)
    np.testing.assert_allclose(got[30 + spec.warmup :], clean[30 + spec.warmup :], rtol=1e-14)


@pytest.mark.parametrize("spec", AVERAGES)
def test_average_of_equal_values_is_that_value(spec: Indicator) -> None:
    got = of_close(spec, np.full(50, 0.1), np.arange(1.0, 51.0))
    np.testing.assert_allclose(got[spec.warmup - 1 :], 0.1, rtol=1e-15)
    assert (of_close(VWMA(7), np.full(50, 0.1), np.arange(1.0, 51.0) / 3)[6:] == 0.1).all()


def test_trima_has_triangular_weights_for_odd_and_even_periods() -> None:
    one = np.zeros(12)
    one[5] = 1.0
    np.testing.assert_allclose(of_close(TRIMA(5), one)[5:10], np.array([1, 2, 3, 2, 1]) / 9, rtol=1e-15)
    np.testing.assert_allclose(of_close(TRIMA(6), one)[5:11], np.array([1, 2, 3, 3, 2, 1]) / 12, rtol=1e-15)


def test_trima_and_hma_are_made_of_averages_that_others_use() -> None:
    assert TRIMA(9).parts() == {"value": SMA(5).of(SMA(5))}
    first, second = HMA(9).parts()["value"].source.sources  # type: ignore[attr-defined]
    assert (first, second) == (WMA(4), WMA(9))


def test_vwma_weighs_by_volume() -> None:
    got = of_close(VWMA(2), [10.0, 20.0, 40.0], [1.0, 3.0, 0.0])
    np.testing.assert_array_equal(got, [nan, 17.5, 20.0])


def test_vwma_with_a_huge_price_without_volume_keeps_its_digits() -> None:
    got = of_close(VWMA(3), [80.21, 80.43, 1e15, 80.71, 80.43, 80.21], [1.0, 1.0, 0.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(got[2:], [80.32, 80.57, 80.57, 80.39], rtol=1e-15)


def test_vwma_without_any_volume_in_the_window_is_nan_and_goes_on_after_it() -> None:
    got = of_close(VWMA(3), [1.1, 2.2, 3.3, 4.4, 5.5, 6.6, 7.7, 8.8], [0.1, 0.3, 0.7, 0, 0, 0, 2, 0])
    assert np.isnan(got).tolist() == [True, True, False, False, False, True, False, False]
    assert (got[4], got[6], got[7]) == (3.3, 7.7, 7.7)


def test_vwma_with_a_bad_volume_is_nan_while_it_is_in_the_window() -> None:
    got = of_close(VWMA(2), [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, nan, 1.0, inf, 1.0])
    assert np.isnan(got).all()


@pytest.mark.parametrize("period", [1, 3, 60])
def test_vwma_over_many_rows_with_huge_prices_and_volumes_does_not_drift(period: int) -> None:
    rows = spiky(200_000)
    volume = np.random.default_rng(3).lognormal(2, 3, 200_000)
    volume[120_000], volume[130_000:130_050] = 1e14, 0.0
    volume[100_000] = 1e-4 if period == 60 else 3.0
    got = of_close(VWMA(period), rows, volume)
    for start in (100_000, 120_000, 130_000, 150_000, 199_900):
        for row in range(start, start + 100):
            window = slice(row - period + 1, row + 1)
            below = math.fsum(volume[window])
            expected = math.fsum(rows[window] * volume[window]) / below if below else nan
            assert got[row] == pytest.approx(expected, rel=1e-11, nan_ok=True)


def test_averages_tell_their_warmup_and_name() -> None:
    assert [spec.warmup for spec in (WMA(5), HMA(16), TRIMA(8), TRIMA(9), VWMA(3))] == [5, 19, 8, 9, 3]
    assert WMA(5).of(SMA(4)).warmup == 8
    assert (str(VWMA(5)), str(HMA(9, "high"))) == ("VWMA(5)", "HMA(9, high)")


def test_averages_with_periods_that_are_none_say_what_they_take() -> None:
    for kind, least in ((WMA, 1), (TRIMA, 1), (VWMA, 1), (HMA, 2)):
        with pytest.raises(ValueError, match=f"period is a whole number of bars, {least} or more, not {least - 1}"):
            kind(least - 1)
    with pytest.raises(ValueError, match="did you mean 'close'"):
        WMA(3, "clsoe")
