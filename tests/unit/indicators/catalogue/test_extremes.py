"""Highest, Lowest, Donchian, Aroon, WilliamsR: long falls, ties, rows that are not numbers, no range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.indicators.catalogue.extremes import Aroon, Donchian, Highest, Lowest, SinceExtreme, WilliamsR

VALUES = st.lists(st.sampled_from([1.0, 2.0, 3.0, -0.0, 0.0, np.nan, np.inf, -np.inf]), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(values=VALUES, period=st.integers(1, 9))
def test_extremes_of_any_values_are_those_of_each_window(values: list[float], period: int) -> None:
    column = np.array(values)
    highest = Highest(period).compute({"high": column})["value"]
    lowest = Lowest(period).compute({"low": column})["value"]
    since = SinceExtreme(period, "close", True).compute({"close": column})["value"]
    for row in range(len(column)):
        window = column[max(0, row - period + 1) : row + 1]
        usable = len(window) == period and np.isfinite(window).all()
        assert highest[row] == window.max() if usable else np.isnan(highest[row])
        assert lowest[row] == window.min() if usable else np.isnan(lowest[row])
        longer = column[max(0, row - period) : row + 1]
        if len(longer) == period + 1 and np.isfinite(longer).all():
            age = int(np.argmax(longer[::-1]))  # the newest of equal ones
            assert since[row] == pytest.approx(100.0 * (period - age) / period)
        else:
            assert np.isnan(since[row])


@pytest.mark.parametrize("period", [1, 2, 3, 4, 5, 6, 8, 21])
def test_highest_of_a_long_fall_is_the_oldest_value_of_the_window(period: int) -> None:
    close = np.arange(500.0, 0.0, -1.0)
    np.testing.assert_array_equal(
        Highest(period, "close").compute({"close": close})["value"][period - 1 :], close[: 501 - period]
    )
    np.testing.assert_array_equal(Lowest(period, "close").compute({"close": close})["value"][period - 1 :], close[period - 1 :])


def test_highest_of_values_below_zero_is_not_zero() -> None:
    np.testing.assert_array_equal(Highest(2, "close").compute({"close": [-3.0, -2.0, -5.0, -4.0]})["value"][1:], [-2, -2, -4])


def test_highest_and_lowest_take_their_side_of_the_bar_unless_told() -> None:
    assert (Highest(3).source, Lowest(3).source) == ("high", "low")
    assert str(Highest(3)) == "Highest(3)"
    assert str(Highest(3, "close")) == "Highest(3, close)"


def test_donchian_is_made_of_highest_and_lowest() -> None:
    parts = Donchian(30).parts()
    assert (parts["upper"], parts["lower"]) == (Highest(30), Lowest(30))
    assert Donchian(30).outputs[0] == "middle"


def flat(rows: int) -> dict[str, np.ndarray]:
    return {name: np.full(rows, 7.3) for name in ("high", "low", "close")}


def test_bars_without_a_range_have_stated_values() -> None:
    assert (WilliamsR(5).compute(flat(20))["value"][4:] == 0.0).all()
    aroon = Aroon(5).compute(flat(20))
    np.testing.assert_array_equal([aroon[name][5:] for name in aroon], [[100.0] * 15, [100.0] * 15, [0.0] * 15])
    assert (Donchian(5).compute(flat(20))["middle"][4:] == 7.3).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_williams_r_with_a_bad_close_is_nan_at_that_row_alone(bad: float) -> None:
    bars = {"high": np.full(20, 3.0), "low": np.full(20, 1.0), "close": np.full(20, 2.0)}
    bars["close"][10] = bad
    got = WilliamsR(5).compute(bars)["value"]
    assert np.isnan(got[10])
    assert (got[[8, 9, 11, 12]] == -50.0).all()


def test_williams_r_without_range_and_with_a_bad_close_is_nan() -> None:
    bars = flat(20)
    bars["close"][10] = np.nan
    assert np.isnan(WilliamsR(5).compute(bars)["value"][10])


@pytest.mark.parametrize("spec", [Aroon, WilliamsR])
def test_extremes_of_a_window_that_is_too_short_are_refused(spec: type) -> None:
    with pytest.raises(ValueError, match="period is a whole number of bars, 2 or more, not 1"):
        spec(1)
    with pytest.raises(ValueError, match="period is a whole number of bars, 1 or more, not 0"):
        Highest(0)
