from __future__ import annotations

from stratd.data.event_log import EventLog, Segment

from ...support.raw_log import RawLog, minutes


def test_empty_segment_has_nothing_to_publish() -> None:
    segment = Segment.empty(7)
    assert (len(segment), segment.start, segment.published, segment.following) == (0, 7, 0, None)


def test_append_links_and_publishes_nothing() -> None:
    raw = RawLog()
    begin = raw.log.tail
    first = raw.append(minutes(3))
    second = raw.append(minutes(2, first=3))
    assert begin.following is first
    assert first.following is second
    assert second.following is None
    assert raw.log.tail is second
    assert (first.start, second.start, raw.log.length) == (0, 3, 5)
    assert (first.published, second.published) == (0, 0)


def test_close_is_said_once_and_stays() -> None:
    log = EventLog()
    assert log.closed is False
    log.close()
    log.close()
    assert log.closed is True
