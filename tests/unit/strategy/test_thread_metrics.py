from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.strategy.thread_metrics import _BUCKETS, Durations, observe

spans_of = st.lists(st.one_of(st.integers(0, 100), st.integers(0, 10**7), st.integers(0, 2**61)), min_size=1, max_size=60)


def stamps(spans: list[int]) -> list[int]:
    return [0, *np.cumsum(np.array(spans, object)).tolist()]


@settings(deadline=None)
@given(st.lists(st.integers(-5, 10**12), max_size=40))
def test_observe_in_python_does_what_the_compiled_one_does(spans: list[int]) -> None:
    given_stamps = np.array(stamps(spans), np.int64)
    results = []
    for call in (observe.load(), observe.function):
        histogram, totals = np.zeros(_BUCKETS, np.int64), np.zeros(3, np.int64)
        call(given_stamps, histogram, totals)
        results.append((histogram.tolist(), totals.tolist()))
    assert results[0] == results[1]
    assert sum(results[0][0]) == results[0][1][0] == len(spans)


@settings(deadline=None)
@given(spans_of, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_quantile_is_at_most_a_sixteenth_too_high_and_never_too_low(spans: list[int], q: float) -> None:
    durations = Durations()
    for span in spans:  # one at a time: their sum may not fit
        durations.take([0, span])
    clipped = sorted(max(1, span) for span in spans)
    true = clipped[math.ceil(q * len(clipped)) - 1]
    found = durations.quantile_seconds(q) * 1e9
    assert true * (1 - 1e-9) <= found <= (true * 17 / 16 + 1) * (1 + 1e-9)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.integers(1, 10))
def test_take_any_windows_add_up(spans: list[int], size: int) -> None:
    durations = Durations()
    all_stamps = stamps(spans)
    for first in range(0, len(spans), size):
        durations.take(all_stamps[first : first + size + 1])
    assert durations.count == len(spans)
    assert durations.total_seconds == pytest.approx(sum(spans) / 1e9)
    assert durations.mean_seconds == pytest.approx(sum(spans) / len(spans) / 1e9)
    assert durations.max_seconds == max(spans) / 1e9


def test_durations_without_spans_are_zero() -> None:
    durations = Durations()
    durations.take([])
    durations.take([5])
    assert (durations.count, durations.total_seconds, durations.mean_seconds, durations.max_seconds) == (0, 0.0, 0.0, 0.0)
    assert durations.quantile_seconds(0.5) == 0.0
