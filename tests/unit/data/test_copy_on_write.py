from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from stratd.data.series import BarSeries
from stratd.errors import DataError, HistoryExceeded
from stratd.indicators.catalogue.sma import SMA
from stratd.model import Interval

from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here
from ..indicators.test_handle import Player, Reader

ROWS = 40_000


def reader_of(rows: int, history: int) -> tuple[Player, Reader, BarSeries]:
    player = Player([1.0 + i for i in range(rows)], history=history)
    reader = player.reader()
    return player, reader, reader.series[0]


def private_bytes() -> int:
    """Memory that this process has copied: of all its mappings of session data."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0] and ":" not in line.split(" ")[0]:
            ours = "stratd-session-data" in line
        elif (ours and line.startswith("Private_Dirty:")) or (ours and line.startswith("Anonymous:")):
            total += int(line.split()[1]) * 1024 if line.startswith("Anonymous:") else 0
    return total


def test_copy_on_write_is_seen_by_nobody_else_and_copies_only_what_is_written() -> None:
    _, reader, series = reader_of(ROWS, ROWS)
    handle = reader.ask(SMA(1))
    reader.begin()
    reader.play(ROWS)
    before = private_bytes()
    mine, again, values = series.copy_on_write("close"), series.copy_on_write("close", 100), handle.copy_on_write()
    assert mine.sum() == series.close.sum()
    assert private_bytes() == before
    mine[ROWS // 2] = -1.0
    values[-1] = -2.0
    assert private_bytes() - before == 2 * 4096
    assert series.close[ROWS // 2] == ROWS // 2 + 1
    assert series.close.min() == 1.0
    assert again[-1] == handle.value == handle[-1] == ROWS
    assert (mine[ROWS // 2], values[-1]) == (-1.0, -2.0)
    assert SMA(2).compute({"close": mine})["value"][ROWS // 2] == (ROWS // 2 - 1) / 2


def test_copy_on_write_window_keeps_its_rows_when_memory_is_used_again() -> None:
    player, reader, series = reader_of(4_000, 20)
    handle = reader.ask(SMA(1))
    reader.begin()
    reader.play(20)
    windows = [series.copy_on_write("high", 10), handle.copy_on_write(10)]
    for window in windows:
        window[0] = -1.0
    expected = [window.tolist() for window in windows]
    for stop in range(40, 4_001, 20):
        reader.play(stop)
    gc.collect()
    assert player.data.compactions > 3
    assert [window.tolist() for window in windows] == expected
    assert expected[0] == [-1.0, *(12.0 + i for i in range(9))]


def test_copy_on_write_does_not_follow_the_cursor() -> None:
    _, reader, series = reader_of(100, 50)
    reader.begin()
    reader.play(10)
    window = series.copy_on_write("open")
    reader.play(20)
    assert len(window) == 10


def test_copy_on_write_of_what_is_not_there_says_so() -> None:
    _, reader, series = reader_of(100, 20)
    handle = reader.ask(SMA(3))
    reader.begin()
    assert series.copy_on_write("close").size == handle.copy_on_write().size == 0
    reader.play(50)
    with pytest.raises(DataError, match="no field 'clse'"):
        series.copy_on_write("clse")
    with pytest.raises(HistoryExceeded):
        series.copy_on_write("close", 21)
    with pytest.raises(IndexError, match="20 visible values, 21 were asked for"):
        handle.copy_on_write(21)
    assert series.copy_on_write("close", 0).size == 0


def test_copy_on_write_of_a_column_that_is_computed_here_or_late_works_too() -> None:
    _, reader, _ = reader_of(100, 20)
    reader.begin()
    reader.play(50)
    for options in ({"private": True}, {}, {"lazy": True}, {"dtype": "float32"}):
        handle = reader.ask(SMA(2), **options)
        window = handle.copy_on_write(5)
        assert window.tolist() == handle[-5:].tolist() == [45.5, 46.5, 47.5, 48.5, 49.5]
        window[:] = 0.0
        assert handle.value == 49.5


def test_copy_on_write_before_there_is_a_frame_is_empty() -> None:
    series = BarSeries("AAA", Interval("1m"), 0, 0, 10)
    assert np.array_equal(series.copy_on_write("close"), np.zeros(0))
