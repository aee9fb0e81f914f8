from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from stratd.errors import IndicatorError
from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.change import Return
from stratd.indicators.catalogue.pairs import Beta, Correlation
from stratd.indicators.catalogue.regression import LinearRegression

nan, inf = math.nan, math.inf
Floats = NDArray[np.float64]


def difficult(rows: int) -> tuple[Floats, Floats]:
    """Two related series with a huge spike, a flat stretch, small moves at a high level, and a new level."""
    random = np.random.default_rng(5)
    one = 100.0 + np.cumsum(random.normal(0, 0.05, rows))
    two = one + np.abs(random.normal(0, 0.03, rows))
    part = rows // 5
    one[part : part + 100] = one[part]
    one[2 * part] = 1e12
    one[3 * part :] += 1e5
    one[4 * part : 4 * part + 200] = one[4 * part] + 1e-6 * random.normal(size=200)
    return one, two


def watched(rows: int) -> list[int]:
    part = rows // 5
    return [start + step for start in (*range(part, rows, part), rows - 150) for step in range(0, 150, 7)]


def moments(*columns: Floats) -> list[list[Fraction]]:
    """Exact sums of products of deviations."""
    exact = [[Fraction(value) for value in column.tolist()] for column in columns]
    means = [sum(column) / len(column) for column in exact]
    deviations = [[value - mean for value in column] for column, mean in zip(exact, means, strict=True)]
    return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in deviations] for x in deviations]  # type: ignore[misc]


@pytest.mark.parametrize("period", [2, 14, 50])
def test_linear_regression_over_many_rows_with_spikes_and_flat_stretches_does_not_drift(period: int) -> None:
    rows, _ = difficult(200_000)
    got = LinearRegression(period).compute({"close": rows})
    x = np.arange(period, dtype=float)
    for row in watched(200_000):
        window = rows[row - period + 1 : row + 1]
        (xx, xy), (_, yy) = moments(x, window)
        slope = xy / xx
        value = sum(Fraction(v) for v in window.tolist()) / period + slope * Fraction(period - 1, 2)
        assert got["line"][row] == pytest.approx(float(value), rel=1e-13)
        assert got["slope"][row] == pytest.approx(float(slope), rel=1e-9, abs=1e-15 * abs(float(value)))
        assert got["r_squared"][row] == pytest.approx(float(xy * xy / xx / yy) if yy else 0.0, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("period", [2, 20, 50])
def test_correlation_and_beta_over_many_rows_with_spikes_and_flat_stretches_do_not_drift(period: int) -> None:
    one, two = difficult(200_000)
    bars = {"close": one, "high": two}
    correlation = Correlation(period).of("close", "high").compute(bars)["value"]
    beta, reverse = (Beta(period).of(*pair).compute(bars)["value"] for pair in (("close", "high"), ("high", "close")))
    for row in watched(200_000):
        window = slice(row - period + 1, row + 1)
        (xx, xy), (_, yy) = moments(one[window], two[window])
        expected = float(xy) / math.sqrt(xx) / math.sqrt(yy) if xx and yy else 0.0
        assert correlation[row] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert beta[row] == pytest.approx(float(xy / yy), rel=1e-9, abs=1e-12)
        assert reverse[row] == pytest.approx(float(xy / xx) if xx else 0.0, rel=1e-9, abs=1e-12)


def test_linear_regression_of_a_straight_line_is_that_line() -> None:
    got = LinearRegression(7).compute({"close": 1000.0 - 0.25 * np.arange(300)})
    np.testing.assert_allclose(got["line"][6:], 1000.0 - 0.25 * np.arange(6, 300), rtol=1e-15)
    np.testing.assert_allclose(got["slope"][6:], -0.25, rtol=1e-12)
    np.testing.assert_allclose(got["r_squared"][6:], 1.0, rtol=1e-12)
    assert (got["r_squared"][6:] <= 1.0).all()


def test_linear_regression_of_equal_values_is_exact() -> None:
    rows = np.concatenate([[3.0, 7.1, 5.3, 9.9], np.full(100, 0.1)])
    got = LinearRegression(5).compute({"close": rows})
    assert (got["line"][8:] == 0.1).all()
    assert (got["slope"][8:] == 0.0).all()
    assert (got["r_squared"][8:] == 0.0).all()
    assert (got["r_squared"][4:8] > 0.0).all()


@pytest.mark.parametrize("kind", [Correlation, Beta])
def test_pair_with_a_source_that_does_not_vary_is_zero(kind: type[Correlation] | type[Beta]) -> None:
    moving, still = np.random.default_rng(1).normal(100, 1, 60), np.full(60, 0.1)
    still[:5] = [4.0, 5.5, 2.0, 8.0, 1.0]
    got = kind(5).of("close", "open").compute({"close": moving, "open": still})["value"]
    assert (got[9:] == 0.0).all()
    assert (got[4:9] != 0.0).all()
    got = kind(5).of("open", "close").compute({"close": moving, "open": still})["value"]
    assert (got[9:] == 0.0).all()


def test_correlation_of_a_source_with_itself_and_its_mirror_is_one_and_minus_one() -> None:
    rows = np.random.default_rng(1).normal(100, 1, 200)
    same = Correlation(9).of("close", "open").compute({"close": rows, "open": 3.0 * rows + 1.0})["value"]
    mirrored = Correlation(9).of("close", "open").compute({"close": rows, "open": -rows})["value"]
    np.testing.assert_allclose(same[8:], 1.0, rtol=1e-12)
    np.testing.assert_allclose(mirrored[8:], -1.0, rtol=1e-12)
    assert (np.abs([same[8:], mirrored[8:]]) <= 1.0).all()


def test_beta_is_the_slope_of_the_first_on_the_second() -> None:
    other = np.random.default_rng(2).normal(0, 1, 100)
    got = Beta(10).of("close", "open").compute({"close": 2.5 * other + 7.0, "open": other})["value"]
    np.testing.assert_allclose(got[9:], 2.5, rtol=1e-12)


def test_beta_of_returns_is_talibs_with_its_arguments_the_other_way_round() -> None:
    talib = pytest.importorskip("talib")
    random = np.random.default_rng(3)
    stock, index = (100 * np.exp(np.cumsum(random.normal(0, 0.01, 300))) for _ in range(2))
    got = Beta(20).of(Return(1, "close"), Return(1, "open")).compute({"close": stock, "open": index})["value"]
    np.testing.assert_allclose(got, talib.BETA(index, stock, 20), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spec", [LinearRegression(4), Correlation(4, "close", "open"), Beta(4, "open", "close")])
@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e300])
def test_window_is_nan_while_a_bad_value_is_in_it_and_right_again_after_it(spec: Indicator, bad: float) -> None:
    random = np.random.default_rng(6)
    bars = {"close": random.normal(100, 1, 60), "open": random.normal(100, 1, 60)}
    clean = spec.compute(bars)
    bars["close"][30] = bad
    for name, got in spec.compute(bars).items():
        assert np.flatnonzero(np.isnan(got)).tolist() == [0, 1, 2, 30, 31, 32, 33]
        np.testing.assert_allclose(got[34:], clean[name][34:], rtol=1e-10)


def test_pair_without_a_second_source_says_how_to_give_one() -> None:
    unfinished = Correlation(20)
    assert (str(unfinished), str(unfinished.of("close", "high"))) == ("Correlation(20)", "Correlation(20, high)")
    for use in (lambda: unfinished.warmup, lambda: unfinished.compute({"close": [1.0]})):
        with pytest.raises(IndicatorError, match=r"second is not given: Correlation\(20\)\.of\('close', On\('close', 'SPY'\)\)"):
            use()


def test_regression_and_pairs_tell_their_warmup_and_refuse_what_they_cannot_do() -> None:
    assert (LinearRegression().warmup, Correlation(20, "close", "high").warmup) == (14, 20)
    assert Beta(20).of(Return(3), "close").warmup == 23
    for make in (lambda: LinearRegression(1), lambda: Correlation(1, "close", "open"), lambda: Beta(1)):
        with pytest.raises(ValueError, match="period is a whole number of bars, 2 or more, not 1"):
            make()
    with pytest.raises(ValueError, match="did you mean 'volume'"):
        Beta(5, "close", "volum")
    with pytest.raises(IndicatorError, match="2 sources, 1 were given"):
        Beta(5).of("close")
