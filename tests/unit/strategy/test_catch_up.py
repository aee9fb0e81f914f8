from __future__ import annotations

import numpy as np
import pytest

from stratd.data.calendars import CalendarTable, table_from_sessions, utc_table
from stratd.data.event_log import Segment
from stratd.model import MINUTE_NS
from stratd.strategy.catch_up import SKIPPED, CatchUp
from stratd.testing.bars import nanoseconds

NOON = nanoseconds("2024-01-02T12:00")
SYMBOLS = 3  # of the log: streams 0 to 2 are 1m bars, 3 to 5 are 5m bars, 6 and 7 a session's close and open


def minute(count: int) -> int:
    return NOON + count * MINUTE_NS


def segment(*entries: tuple[int, int]) -> Segment:
    """A segment of (stream, close time)."""
    streams, times = np.array([one[0] for one in entries], np.int32), np.array([one[1] for one in entries], np.int64)
    zeros = np.zeros(len(entries), np.int64)
    return Segment(0, times, streams, zeros, np.ones(len(entries)), zeros.astype(np.uint64), zeros)


def exchange() -> CalendarTable:
    """12:00 to 12:10, and 13:00 to 13:10."""
    sessions = [[minute(at) for at in (start, start, start + 5, start + 5, start + 10, start + 10)] for start in (0, 60)]
    return table_from_sessions("XTST", np.array(sessions), False)


@pytest.mark.parametrize(("first_close", "missing"), [(1, 0), (5, 0), (6, 0), (7, 1), (65, 59)])
def test_look_feed_around_the_clock_counts_the_minutes_before_its_first_bar(first_close: int, missing: int) -> None:
    catch_up = CatchUp(minute(5), [1], [utc_table()])
    found = segment((7, NOON), (0, minute(first_close)), (3, minute(first_close)), (1, minute(first_close)))
    assert catch_up.look(found, 0, 4) is (missing > 0)
    assert (catch_up.missing_minutes, catch_up.first_bar_ns) == (missing, minute(first_close - 1))
    assert catch_up.look(segment((1, minute(500))), 0, 1) is False  # once


def test_look_only_its_own_1m_bars_of_what_is_published_count() -> None:
    catch_up = CatchUp(minute(5), [1], [utc_table()])
    entries = segment((0, minute(1)), (4, minute(2)), (7, minute(3)), (1, minute(9)))
    assert catch_up.look(entries, 0, 3) is False
    assert catch_up.first_bar_ns == -1
    assert catch_up.look(entries, 3, 4) is True
    assert catch_up.missing_minutes == 3


@pytest.mark.parametrize(("until", "first_close", "missing"), [(10, 61, 0), (8, 61, 2), (10, 64, 3)])
def test_look_only_minutes_of_sessions_are_missing(until: int, first_close: int, missing: int) -> None:
    catch_up = CatchUp(minute(until), [0], [exchange()])
    catch_up.look(segment((0, minute(first_close))), 0, 1)
    assert catch_up.missing_minutes == missing


def test_skip_marks_what_was_handled_and_leaves_the_rest() -> None:
    catch_up = CatchUp(minute(5), [0], [utc_table()])
    # A bar, one that is only made visible, a slice, a withheld bar, and three events of which two are new. Two slots, four others.
    slots = [1, -1, -3, -7, 0, 1, -3]
    times = np.array([minute(at) for at in (4, 4, 4, 5, 5, 6, 6)])
    assert catch_up.skip(slots, times, 2, 4) == 5
    assert slots == [-2, -1, SKIPPED, -7, -1, 1, -3]
    assert catch_up.done
    assert catch_up.awaits_ns == -1


def test_awaits_until_it_has_come_to_where_it_was() -> None:
    catch_up = CatchUp(minute(5), [0], [utc_table()])
    assert catch_up.awaits_ns == minute(5)
    assert catch_up.skip([], np.zeros(0, np.int64), 1, 4) == 0
    assert catch_up.skip([0, 0], np.array([minute(3), minute(4)]), 1, 4) == 2
    assert catch_up.awaits_ns == minute(5)
    assert catch_up.skip([0], np.array([minute(5)]), 1, 4) == 1
    assert catch_up.awaits_ns == -1
    assert not catch_up.done
    assert catch_up.skip([0], np.array([minute(6)]), 1, 4) == 0
    assert catch_up.done
