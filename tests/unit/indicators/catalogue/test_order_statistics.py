"""Median and Quantile: ties, rows that are not numbers, large windows, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.indicators.catalogue.order_statistics import Median, Quantile

VALUES = st.lists(st.sampled_from([1.0, 2.0, 2.5, 3.0, -7.0, 0.0, np.nan, np.inf, -np.inf]), min_size=1, max_size=80)


@settings(max_examples=80, deadline=None)
@given(values=VALUES, period=st.integers(1, 30), part=st.sampled_from([0.0, 0.1, 0.5, 0.77, 1.0]))
def test_quantile_of_any_values_is_that_of_each_window(values: list[float], period: int, part: float) -> None:
    column = np.array(values)
    got = Quantile(period, part).compute({"close": column})["value"]
    for row in range(len(column)):
        window = column[max(0, row - period + 1) : row + 1]
        if len(window) == period and np.isfinite(window).all():
            assert got[row] == pytest.approx(float(np.quantile(window, part)), rel=1e-12, abs=1e-12)
        else:
            assert np.isnan(got[row])


@pytest.mark.parametrize("period", [64, 333, 1_000])
def test_median_of_a_large_window_equals_pandas(period: int) -> None:
    close = np.random.default_rng(1).normal(0, 1, 4_000) * np.repeat([1.0, 1e6, 1e-6, 1.0], 1_000)
    np.testing.assert_allclose(
        Median(period).compute({"close": close})["value"], pd.Series(close).rolling(period).median(), rtol=1e-12
    )


def test_median_of_a_spike_is_not_moved_by_it() -> None:
    close = np.full(50, 3.3)
    close[20] = 1e9
    assert (Median(5).compute({"close": close})["value"][4:] == 3.3).all()


@pytest.mark.parametrize("close", [np.arange(300.0), -np.arange(300.0)], ids=["rise", "fall"])
def test_median_of_a_straight_line_is_the_middle_row(close: np.ndarray) -> None:
    np.testing.assert_array_equal(Median(41).compute({"close": close})["value"][40:], close[20:-20])


def test_median_is_the_same_part_as_the_quantile_of_a_half() -> None:
    assert Median(9, "high").parts()["value"] == Quantile(9, 0.5, "high")


@pytest.mark.parametrize("part", [-0.1, 1.1, np.nan, "half"])
def test_quantile_outside_0_to_1_is_refused(part: object) -> None:
    with pytest.raises(ValueError, match="quantile is a number"):
        Quantile(10, part)  # type: ignore[arg-type]
