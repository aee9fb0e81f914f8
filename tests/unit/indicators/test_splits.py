"""The contract of `advance`: any split, any renumbering, compiled or not, gives the same bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.core.kernel import Kernel
from stratd.indicators import (
    ATR,
    EMA,
    ROC,
    RSI,
    SMA,
    Highest,
    Indicator,
    Lowest,
    Momentum,
    StdDev,
    atr,
    change,
    ema,
    extremes,
    rsi,
    sma,
    stddev,
)

Floats = NDArray[np.float64]
SPECS: list[Indicator] = [
    SMA(1), SMA(10), SMA(7, "volume"), EMA(9), RSI(5), ATR(6), Highest(8), Lowest(8), Highest(1), StdDev(6), ROC(5), Momentum(5),
]  # fmt: skip
KERNELS: dict[type[Indicator], Kernel] = {
    SMA: sma.sma_kernel,
    EMA: ema.ema_kernel,
    RSI: rsi.rsi_kernel,
    ATR: atr.atr_kernel,
    Highest: extremes.extreme_kernel,
    Lowest: extremes.extreme_kernel,
    StdDev: stddev.stddev_kernel,
    ROC: change.change_kernel,
    Momentum: change.change_kernel,
}
by_label = pytest.mark.parametrize("spec", SPECS, ids=str)
# Whole cents, prices between cents, and rows that are no number.
price = st.one_of(
    st.integers(1, 400).map(lambda cents: cents / 100),
    st.floats(0.01, 4.0),
    st.sampled_from([float("nan"), float("inf"), 1.0]),
)


def in_one(spec: Indicator, columns: tuple[Floats, ...], tick: float | None = 0.01) -> Floats:
    out = np.empty(len(columns[0]))
    spec.advance(columns, 0, len(out), spec.new_state(tick), out)
    return out


def columns_of(spec: Indicator, rows: list[float]) -> tuple[Floats, ...]:
    made = tuple(np.roll(np.array(rows), shift) for shift in range(len(spec.fields)))
    for column in made:
        column.flags.writeable = False
    return made


@by_label
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(price, min_size=1, max_size=60), cuts=st.lists(st.integers(0, 60)), tick=st.sampled_from([0.01, None]))
def test_advance_split_anywhere_gives_the_same_bits(
    spec: Indicator, rows: list[float], cuts: list[int], tick: float | None
) -> None:
    columns = columns_of(spec, rows)
    expected = in_one(spec, columns, tick)
    state = spec.new_state(tick)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    got = np.full(len(rows), -1.0)
    for start, stop in itertools.pairwise(edges):
        spec.advance(columns, start, stop, state, got[start:stop])
    assert got.tobytes() == expected.tobytes()


@by_label
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(price, min_size=20, max_size=80), keeps=st.lists(st.integers(0, 12), min_size=1))
def test_advance_after_compaction_gives_the_same_bits(spec: Indicator, rows: list[float], keeps: list[int]) -> None:
    columns = columns_of(spec, rows)
    state = spec.new_state(0.01)
    got = np.empty(len(rows))
    first = 0  # absolute row that the current arrays begin with
    for row in range(len(rows)):
        kept = keeps[row % len(keeps)]
        first = max(first, row - spec.reach - kept)  # rows before the reach are gone for good
        held = tuple(column[first:].copy() for column in columns)
        spec.advance(held, row - first, row - first + 1, state, got[row : row + 1])
    assert got.tobytes() == in_one(spec, columns).tobytes()


@by_label
def test_kernel_compiled_equals_plain_python(spec: Indicator, walk: dict[str, Floats]) -> None:
    rows = walk["close"][:120].copy()
    rows[50:53] = [np.nan, 19.005, np.inf]
    columns = columns_of(spec, rows.tolist())
    out = np.empty(len(rows))
    with np.errstate(invalid="ignore"):  # only the plain function says that infinity minus infinity is NaN
        KERNELS[type(spec)].function(*columns, 0, len(rows), spec.new_state(0.01), out)
    assert out.tobytes() == in_one(spec, columns).tobytes()


@by_label
def test_indicator_after_a_nan_recovers(spec: Indicator, walk: dict[str, Floats]) -> None:
    rows = walk["close"][:200].copy()
    rows[100] = np.nan
    got = in_one(spec, columns_of(spec, rows.tolist()))
    assert np.isnan(got[100])
    assert np.isfinite(got[100 + spec.warmup + len(spec.fields) :]).all()


@by_label
def test_advance_of_no_rows_changes_nothing(spec: Indicator, walk: dict[str, Floats]) -> None:
    columns = columns_of(spec, walk["close"].tolist())
    state = spec.new_state(0.01)
    before = state.tobytes()
    spec.advance(columns, 0, 0, state, np.empty(0))
    assert state.tobytes() == before
