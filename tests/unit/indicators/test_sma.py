from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.indicators import SMA

Floats = NDArray[np.float64]


def sma(rows: list[float], period: int, tick: float | None) -> Floats:
    return SMA(period).compute({"close": rows}, tick=tick)["value"]


@settings(max_examples=60, deadline=None)
@given(cents=st.lists(st.integers(9990, 10010), min_size=30, max_size=80), fast=st.integers(1, 8), slow=st.integers(2, 25))
def test_sma_with_tick_compares_as_exact_fractions_do(cents: list[int], fast: int, slow: int) -> None:
    rows = [c / 100 for c in cents]
    short, long = sma(rows, fast, 0.01), sma(rows, slow, 0.01)
    for row in range(max(fast, slow) - 1, len(rows)):
        exact_short = Fraction(sum(cents[row - fast + 1 : row + 1]), fast)
        exact_long = Fraction(sum(cents[row - slow + 1 : row + 1]), slow)
        assert np.sign(short[row] - long[row]) == (exact_short > exact_long) - (exact_short < exact_long)


def test_sma_with_tick_ties_where_sums_of_floats_do_not() -> None:
    rows = [0.1, 0.2, 0.3, 0.1, 0.1, 0.4]
    assert math.fsum(rows[-3:]) / 3 != math.fsum(rows[-6:]) / 6  # the reason for whole ticks
    assert sma(rows, 3, 0.1)[-1] == sma(rows, 6, 0.1)[-1]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.floats(1e-4, 1e8), min_size=12, max_size=60), period=st.integers(1, 12))
def test_sma_without_tick_equals_fsum(rows: list[float], period: int) -> None:
    got = sma(rows, period, None)
    for row in range(period - 1, len(rows)):
        assert got[row] == math.fsum(rows[row - period + 1 : row + 1]) / period


def test_sma_over_a_million_rows_does_not_drift() -> None:
    rows = np.random.default_rng(3).lognormal(4, 1, 1_000_000)
    got = sma(rows.tolist(), 50, None)
    assert got[-1] == math.fsum(rows[-50:]) / 50


def test_sma_with_a_price_between_ticks_is_right_and_exact_again_after_it() -> None:
    rows = [1.01, 1.02, 1.03, 1.005, 1.04, 1.05, 1.06, 1.07]
    got = sma(rows, 3, 0.01)
    for row in range(2, 6):
        assert got[row] == pytest.approx(math.fsum(rows[row - 2 : row + 1]) / 3, rel=1e-15)
    assert got[7] == (105 + 106 + 107) / 3 * 0.01


def test_sma_value_depends_on_its_window_alone() -> None:
    tail = [1.01, 1.02, 1.03, 1.05, 1.08]
    for before in ([], [1.005, 9.0], [float("nan"), 3.0], [1e299, 1e-9], [float("inf")], [1e305]):
        assert sma(before + tail, 5, 0.01)[-1] == sma(tail, 5, 0.01)[-1]
    for before in ([], [float("nan"), 3.0], [float("inf")], [1e305, -1e305]):
        assert sma(before + tail, 5, None)[-1] == sma(tail, 5, None)[-1]


def test_sma_with_a_tiny_tick_and_a_large_price_counts_whole_ticks() -> None:
    rows = [100_000.00001, 100_000.00002, 100_000.00003]
    assert sma(rows, 3, 1e-5)[-1] == (10_000_000_001 + 10_000_000_002 + 10_000_000_003) / 3 * 1e-5


def test_sma_of_volume_ignores_the_tick() -> None:
    volumes = {"volume": [0.1, 0.2, 0.3, 7.5, 0.5]}
    got = [SMA(3, "volume").compute(volumes, tick=tick)["value"].tobytes() for tick in (0.25, None)]
    assert got[0] == got[1]


@pytest.mark.prove
@pytest.mark.parametrize("tick", [0.01, None])
def test_sma_over_ten_million_rows_does_not_drift(tick: float | None) -> None:
    rows = np.random.default_rng(4).lognormal(4, 1, 10_000_000).round(2)
    rows[[5_000_000, 9_000_000]] = 1e12  # a spike must not linger either
    got = SMA(50).compute({"close": rows}, tick=tick, blocks=range(0, 10_000_000, 16_384))["value"]
    for row in (*range(100, 10_000_000, 99_991), 9_000_049, 9_000_050, 9_999_999):
        exact = math.fsum(rows[row - 49 : row + 1]) / 50
        assert abs(got[row] / exact - 1) < 1e-15
