"""Cumulative volume, bar count, realised variance: sessions, periods, NaN, no drift."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from stratd.indicators.catalogue.cumulative import BarCount, CumulativeVolume, RealisedVariance, lost_in_sum

from ....support.session_bars import made_up_days, new_york_bars, new_york_sessions, utc_sessions, xnys
from ..cases.cumulative import bar_count, cumulative_volume, realised_variance

DAY = 86_400_000_000_000
MONDAY = 1_704_672_000_000_000_000
NAN = np.nan


def value_of(spec: Any, **columns: Any) -> Any:
    return spec.compute({name: np.asarray(column) for name, column in columns.items()})["value"]


@pytest.mark.shared_data
@pytest.mark.parametrize("minutes", [1, 5])
@pytest.mark.parametrize("file", ["us_equity/SPY_2011-03_dst", "us_equity/GOOG_2015-12", "us_equity_basket_2019-02/AMT"])
def test_cumulative_on_real_bars_begins_again_with_each_session(file: str, minutes: int) -> None:
    bars = new_york_bars(file, minutes)
    frame = new_york_sessions(bars)
    for spec, oracle in (
        (CumulativeVolume(), cumulative_volume("session")),
        (BarCount(), bar_count("session")),
        (RealisedVariance(), realised_variance("session")),
    ):
        got = spec.compute(bars, calendar=xnys(), interval=f"{minutes}m", blocks=[3, 200])["value"]
        np.testing.assert_allclose(got, oracle(frame)["value"], rtol=1e-11, err_msg=str(spec))


@pytest.mark.parametrize("reset", ["session", "never", 1, 50])
def test_cumulative_over_days_with_holes_equals_pandas(reset: Any) -> None:
    bars = made_up_days(3_000)
    frame = utc_sessions(bars)
    assert frame["session"].nunique() > 10
    for spec, oracle in (
        (CumulativeVolume(reset), cumulative_volume(reset)),
        (BarCount(reset), bar_count(reset)),
        (RealisedVariance(reset), realised_variance(reset)),
    ):
        got = spec.compute(bars, interval="5m", blocks=range(0, 3_000, 7))["value"]
        np.testing.assert_allclose(got, oracle(frame)["value"], rtol=1e-11, err_msg=str(spec))


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf])
def test_cumulative_row_that_is_not_finite_adds_nothing(bad: float) -> None:
    np.testing.assert_array_equal(value_of(CumulativeVolume("never"), volume=[bad, 2.0, bad, 3.0]), [NAN, 2, NAN, 5])
    np.testing.assert_array_equal(value_of(BarCount("never"), close=[bad, 2.0, bad, 3.0]), [NAN, 1, NAN, 2])
    got = value_of(RealisedVariance("never"), close=[bad, 2.0, bad, 3.0, 3.0])
    np.testing.assert_allclose(got, [NAN, NAN, NAN, math.log(1.5) ** 2, math.log(1.5) ** 2], rtol=1e-15)


def test_cumulative_by_period_counts_rows_with_nan_too() -> None:
    np.testing.assert_array_equal(value_of(BarCount(3), close=[1, NAN, 1, 1, 1, 1, 1.0]), [1, NAN, 2, 1, 2, 3, 1])
    np.testing.assert_array_equal(value_of(CumulativeVolume(2), volume=[1, NAN, 1, 1, 1.0]), [1, NAN, 1, 2, 1])


@pytest.mark.shared_data
def test_cumulative_outside_all_sessions_is_nan_and_adds_nothing() -> None:
    bars = new_york_bars("us_equity/GOOG_2015-12")
    frame = new_york_sessions(bars)
    regular = ((frame["minute"] >= 0) & (frame["left"] > 0)).to_numpy()
    for spec, oracle in ((CumulativeVolume(), cumulative_volume("session")), (RealisedVariance(), realised_variance("session"))):
        got = spec.compute(bars, calendar=xnys(False))["value"]
        assert np.isnan(got[~regular]).all()
        np.testing.assert_allclose(got[regular], oracle(frame[regular])["value"], rtol=1e-11)


@pytest.mark.parametrize("reset", ["session", 2])
def test_cumulative_beginning_again_forgets_what_rounding_has_lost(reset: Any) -> None:
    times = MONDAY + DAY // 2 * np.arange(4)
    got = value_of(CumulativeVolume(reset), volume=[1e17, 3.3, 1.0, 1.0], open_time=times)
    np.testing.assert_array_equal(got, [1e17, 1e17, 1, 2])
    # One square of 2e5 and a small one in the first period; the second has none.
    price = [1e-100, 1e100, 1.1e100, 1.1e100, 1.1e100, 1.1e100]
    got = value_of(RealisedVariance(3), close=price)
    assert got[2] > 1e5
    np.testing.assert_array_equal(got[3:], [0, 0, 0])


def test_volume_of_zero_leaves_the_sum() -> None:
    np.testing.assert_array_equal(value_of(CumulativeVolume("never"), volume=[0.0, 2.0, 0.0]), [0, 2, 2])


def test_cumulative_volume_after_200_000_rows_and_a_spike_equals_an_exact_sum() -> None:
    random = np.random.default_rng(4)
    volume = random.uniform(0.001, 3, 200_000)
    volume[500] = 1e17
    got = CumulativeVolume("never").compute({"volume": volume}, blocks=range(4096, 200_000, 4096))["value"]
    for row in (499, 500, 501, 77_777, 199_999):
        exact = sum(map(Fraction, volume[: row + 1].tolist()), Fraction())
        assert abs(Fraction(float(got[row])) - exact) <= exact * Fraction(12, 10**17)
    # A naive sum has lost every later volume below half a unit in its last place.
    assert abs(np.cumsum(volume)[-1] - got[-1]) > 1e5


def test_realised_variance_after_200_000_rows_and_a_spike_equals_an_exact_sum() -> None:
    random = np.random.default_rng(6)
    price = 100 * np.exp(np.cumsum(random.normal(0, 1e-4, 200_000)))
    price[500] = 1e200  # there and back: two squares of some 2e5
    got = RealisedVariance("never").compute({"close": price}, blocks=range(4096, 200_000, 4096))["value"]
    ratio = price[1:].astype(np.longdouble) / price[:-1].astype(np.longdouble)
    squares = (np.log(ratio) ** 2).astype(float)
    for row in (499, 500, 502, 77_777, 199_999):
        assert got[row] == pytest.approx(math.fsum(squares[:row]), rel=3e-15, abs=0)


def test_realised_variance_of_tiny_returns_keeps_their_digits() -> None:
    price = np.array([3.0, 3.0 + 2.0**-38, 3.0])
    got = value_of(RealisedVariance("never"), close=price)
    assert got[1] == pytest.approx((2.0**-38 / 3) ** 2, rel=1e-11, abs=0)
    assert got[2] == pytest.approx(2 * (2.0**-38 / 3) ** 2, rel=1e-11, abs=0)


def test_realised_variance_overnight_return_counts_only_where_sessions_do_not() -> None:
    times = MONDAY + DAY // 2 * np.arange(5)
    price = np.array([10.0, 10.0, 20.0, 20.0, 40.0])
    night = math.log(2) ** 2
    np.testing.assert_allclose(value_of(RealisedVariance(), close=price, open_time=times), [NAN, 0, NAN, 0, NAN])
    expected = [NAN, 0, night, night, 2 * night]
    np.testing.assert_allclose(value_of(RealisedVariance("never"), close=price, open_time=times), expected)
    np.testing.assert_allclose(value_of(RealisedVariance(2), close=price, open_time=times), [NAN, 0, night, night, night])


def test_realised_variance_price_of_zero_or_below_is_left_out() -> None:
    got = value_of(RealisedVariance("never"), close=[1.0, 0.0, -1.0, math.e, math.e])
    np.testing.assert_allclose(got, [NAN, NAN, NAN, 1, 1])


def test_realised_variance_of_constant_prices_is_zero() -> None:
    assert value_of(RealisedVariance("never"), close=np.full(50, 7.3))[1:].tolist() == [0.0] * 49


def test_lost_in_sum_and_the_sum_are_exact() -> None:
    random = np.random.default_rng(8)
    for first, second in random.normal(0, 1, (200, 2)) * 10.0 ** random.integers(-20, 20, (200, 2)):
        total = first + second
        assert Fraction(total) + Fraction(lost_in_sum(first, second)) == Fraction(first) + Fraction(second)


@pytest.mark.parametrize("kind", [CumulativeVolume, BarCount, RealisedVariance])
def test_cumulative_unknown_reset_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="did you mean 'never'"):
        kind("nevr")
