from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.data.series import BarSeries
from stratd.errors import HistoryExceeded
from stratd.model import MINUTE_NS, BarFlags

from ...support.raw_log import FIELDS, RawLog, cells, minutes, wrong_cells


def read(rows: int, cursor: int | None = None, history: int = 5, keep: int = 50) -> BarSeries:
    """A series of a stream with `rows` rows, its reader at `cursor`."""
    raw = RawLog(keep=keep)
    for first in range(0, rows, 20):
        raw.append(minutes(min(20, rows - first), first=first))
    series = raw.series(history=history)
    series.take_frame(raw.data.frame)
    series._hi = (rows if cursor is None else cursor) - series._base
    return series


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_series_shows_the_newest_rows_up_to_the_cursor_and_no_other(rows: int, behind: int, history: int) -> None:
    cursor = max(0, rows - min(behind, 20))
    series = read(rows, cursor, history, keep=40)
    assert series.count == cursor
    assert len(series) == min(cursor, history)
    assert series.first_held == cursor - len(series)
    assert wrong_cells(series) == []
    assert all(len(getattr(series, field)) == len(series) for field in FIELDS)
    assert [bar.open for bar in series] == series.open.tolist()
    assert [bar.open for bar in reversed(series)] == series.open[::-1].tolist()


def test_series_before_its_first_row_is_empty() -> None:
    series = RawLog().series()
    assert (len(series), series.count, series.first_held, list(series), series.close.tolist()) == (0, 0, 0, [], [])
    with pytest.raises(IndexError, match="A 1m has 0 bars so far"):
        series[-1]


def test_getitem_counts_from_the_sessions_first_row_or_from_the_newest() -> None:
    series = read(30, 30, history=10)
    bar = series[-1]
    assert bar == series[29]
    assert (bar.open_time, bar.close_time) == (29 * MINUTE_NS, 30 * MINUTE_NS)
    for field in FIELDS:
        assert getattr(series[-3], field) == cells(field, 0, 0, np.array([27]))[0]
    assert series[20] == series[-10]
    assert all(type(value) is kind for value, kind in zip(bar, [int, int, *[float] * 5, *[int] * 3, BarFlags], strict=True))
    assert [type(value) for value in bar[:-1]] == [int, int, *[float] * 5, *[int] * 3]


@pytest.mark.parametrize("index", [30, 31, -31, 10**9])
def test_getitem_row_that_is_not_there_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"there is no row {index}"):
        read(30, 30, history=10)[index]


@pytest.mark.parametrize("index", [0, 19, -11, -30])
def test_getitem_row_further_back_than_history_says_what_to_do(index: int) -> None:
    with pytest.raises(
        HistoryExceeded, match=r"A 1m: row \d+ is no longer held, the first one held is 20; raise history_bars \(now 10\)"
    ):
        read(30, 30, history=10)[index]


def test_getitem_rows_that_memory_happens_to_hold_beyond_history_are_not_given() -> None:
    series = read(30, 30, history=10, keep=50)
    assert series._base == 0
    with pytest.raises(HistoryExceeded):
        series[19]


def test_last_gives_the_newest_rows_of_any_column() -> None:
    series = read(30, 30, history=10)
    assert series.close[series.last(3)].tolist() == series.close[-3:].tolist()
    assert len(series.n[series.last(10)]) == 10
    assert len(series.n[series.last(0)]) == 0


def test_last_more_than_there_are_says_so() -> None:
    with pytest.raises(IndexError, match="3 bars so far, 4 were asked for"):
        read(3, 3, history=10).last(4)
    with pytest.raises(HistoryExceeded):
        read(30, 30, history=10).last(11)
    with pytest.raises(IndexError):
        read(30, 30, history=10).last(31)


def test_column_that_was_read_keeps_its_length_and_content_when_the_cursor_moves() -> None:
    series = read(30, 25, history=10)
    column = series.close
    before = column.tolist()
    series._hi += 5
    assert column.tolist() == before
    assert series.close[-1] != column[-1]
    assert np.shares_memory(series.close, column)


def test_column_shows_no_later_row_by_any_index_or_slice() -> None:
    series = read(30, 20, history=10)
    newest = series.close[-1]
    for shown in (
        series.close[:100], series.close[5:], np.asarray(series.close), series.close.copy(), series.close[::-1],
        np.array(series.close.tolist()), series.close.view(np.int64).view(np.float64), np.frombuffer(series.close.data),  # type: ignore[arg-type]
    ):  # fmt: skip
        assert shown.max() == newest
    with pytest.raises(IndexError):
        series.close[10]
    assert series.close[10:].size == 0


def test_take_frame_moves_the_memory_and_not_the_cursor() -> None:
    raw = RawLog(keep=30)
    raw.append(minutes(50))
    series = raw.series(history=20)
    series.take_frame(raw.data.frame)
    series._hi = 45
    bar, column = series[-1], series.close
    before = column.tolist()
    raw.append(minutes(200, first=50))  # more than the first memory has room for
    series.take_frame(raw.data.frame)
    assert series._base == 20
    assert (series.count, series[-1], series.close.tolist()) == (45, bar, before)
    assert column.tolist() == before
    assert wrong_cells(series) == []


def test_columns_are_read_only() -> None:
    series = read(30)
    for field in FIELDS:
        with pytest.raises(ValueError):
            getattr(series, field).setflags(write=True)


def test_repr_says_which_and_how_long() -> None:
    assert repr(read(30, history=10)) == "BarSeries(A 1m, 30 bars)"
