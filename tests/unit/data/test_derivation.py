"""The derivation's kernels as Python: what compiled code does cannot be seen by coverage. What it should do: tests/replay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.data.audit import fingerprint
from stratd.data.block import BarBlock
from stratd.data.calendars import concatenate, table_from_sessions, utc_table
from stratd.data.derivation import Derivation, minutes_between, take_in
from stratd.data.session_data import SessionData
from stratd.model import MINUTE_NS, Interval
from stratd.testing.bars import nanoseconds

from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

DAY = 1440 * MINUTE_NS
START = nanoseconds("2024-01-02T00:00")
INTERVALS = tuple(Interval(text) for text in ("1m", "2m", "5m", "1d"))
# Sessions of 12 minutes, with a pre-market of 2, a break of 2 and a post-market of 2.
CORNERS = np.array([[START + day * DAY + minute * MINUTE_NS for minute in (10, 12, 16, 18, 20, 22)] for day in range(2)])
TABLES = (utc_table(), table_from_sessions("XTST", CORNERS, True))


def derivation(call: Any) -> Derivation:
    data = SessionData("ABC", INTERVALS, 40)
    made = Derivation(
        data, concatenate(TABLES, INTERVALS), np.array([0, 1, 1], np.int64), np.array([0, 1, 0], np.uint8), START + 10 * DAY
    )  # fmt: skip
    made._take_in = call
    return made


@st.composite
def blocks(draw: st.DrawFn) -> list[BarBlock]:
    """Rows of some minutes, most of them clean, cut into blocks of whole minutes."""
    made = []
    minute = draw(st.integers(0, 14))
    for _ in range(draw(st.integers(1, 4))):
        times, symbols, prices = [], [], []
        for _ in range(draw(st.integers(1, 5))):
            minute += draw(st.sampled_from([1, 1, 1, 2, 7, 1400]))
            for symbol in draw(st.lists(st.integers(-1, 2), max_size=5).map(sorted)):
                times.append(
                    START + minute * MINUTE_NS + draw(st.sampled_from([0] * 12 + [1, -3 * MINUTE_NS, 20 * DAY, -(2**62)]))
                )
                symbols.append(symbol)
                low = draw(st.sampled_from([1.0, 2.0, 3.0]))
                row = [low, low + 1, low, low + draw(st.sampled_from([0.0, 0.5, 1.0])), draw(st.sampled_from([0.0, 5.0]))]
                if draw(st.integers(0, 9)) == 0:
                    row[draw(st.integers(0, 4))] = draw(st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 99.0]))
                prices.append(row)
        rows = len(times)
        columns = np.array(prices, np.float64).reshape(rows, 5).T.copy()
        made.append(
            BarBlock(
                np.array(times, np.int64), np.array(symbols, np.int32), *columns,
                source=np.zeros(rows, np.int32), line=np.arange(1, rows + 1),
            )
        )  # fmt: skip
    return made


def state_of(made: Derivation) -> list[Any]:
    data = made.data
    rows = [
        matrix[k, :, s, : int(data.count[k, s] - data.frame.base[k, s])].tolist()
        for matrix in (data.frame.ro_floats, data.frame.ro_times, data.frame.ro_counts)
        for k, s in np.ndindex(*data.count.shape)
    ]
    return [data.count.tolist(), data.frame.base.tolist(), rows, made.watermark_ns, made.lost.tolist()]


def logged(segment: Any) -> list[Any]:
    return [getattr(segment, name).tolist() for name in ("close_time", "stream", "row", "quality", "fingerprint", "step_end")] + [
        segment.start
    ]


def fingerprints(made: Derivation, segment: Any) -> list[int]:
    """Those of the rows that a segment stands for, read from the columns."""
    frame, found = made.data.frame, []
    for stream, row in zip(segment.stream.tolist(), segment.row.tolist(), strict=True):
        k, s = divmod(stream, 3)
        if k >= len(INTERVALS):
            found.append(0)
            continue
        at = row - int(frame.base[k, s])
        cells = [matrix[k, f, s, at].item() for matrix, f in [(frame.ro_times, 0), *[(frame.ro_floats, f) for f in range(5)]]]
        found.append(int(fingerprint.load()(*cells, *frame.ro_counts[k, :, s, at].tolist())))
    return found


@settings(deadline=None, max_examples=40)
@given(blocks())
def test_take_in_in_python_does_what_the_compiled_one_does(given_blocks: list[BarBlock]) -> None:
    results = []
    for call in (take_in.load(), take_in.function):
        made = derivation(call)
        found: list[Any] = []
        for block in given_blocks:
            segment, codes = made.take(block)
            assert segment.fingerprint.tolist() == fingerprints(made, segment)
            found += [logged(segment), codes.tolist()]
        found += [logged(made.finish()), state_of(made)]
        results.append(found)
    assert results[0] == results[1]


@settings(deadline=None, max_examples=60)
@given(st.integers(-5, 3000), st.integers(0, 3000))
def test_minutes_between_counts_the_minutes_of_all_phases(opened: int, span: int) -> None:
    table = TABLES[1]
    first, last = START + opened * MINUTE_NS, START + (opened + span) * MINUTE_NS
    phases = list(zip(table.phase_open.tolist(), table.phase_close.tolist(), strict=True))
    expected = sum(max(0, min(closed, last) - max(begun, first)) for begun, closed in phases) // MINUTE_NS
    for call in (minutes_between.load(), minutes_between.function):
        assert call(table.phase_open, table.phase_close, 0, len(phases), first, last) == expected


@pytest.mark.parametrize("call", [take_in.function, None], ids=["python", "compiled"])
def test_take_everything_unusable_makes_no_bar(call: Any) -> None:
    made = derivation(take_in.load() if call is None else call)
    numbers = np.full(3, np.nan)
    block = BarBlock(
        np.array([START, START, START + MINUTE_NS]), np.array([0, -1, 0], np.int32), *[numbers] * 5,
        source=np.zeros(3, np.int32), line=np.arange(3),
    )  # fmt: skip
    segment, codes = made.take(block)
    assert codes.tolist() == [6, 1, 6]
    assert made.data.count.sum() == 0
    assert made.lost.tolist() == [2, 0, 0]
    assert set(segment.stream.tolist()) <= {len(INTERVALS) * 3 + number for number in range(4)}
