"""The gate with `at_rest`: between steps, when every reader has handled everything."""

from __future__ import annotations

import threading

import pytest

from stratd.data.event_log import Segment
from stratd.data.gate import Gate
from stratd.data.subscription import NOTIFY, Slot
from stratd.model import MINUTE_NS

from ...support.raw_log import RawLog, Step
from .test_gate import DEADLINE, ReaderThread, end, gate_for


def steps(first: int, count: int) -> list[Step]:
    """Minutes in which only one of three symbols has a bar."""
    return [Step((minute + 1) * MINUTE_NS, ((0, minute % 3),)) for minute in range(first, first + count)]


def test_at_rest_every_reader_has_handled_the_step_and_is_given_no_other() -> None:
    raw = RawLog(symbols=3, keep=100)
    readers = [raw.subscription([Slot(0, s, NOTIFY, 0)], name=str(s)) for s in range(3)]
    busy: set[int] = set()
    lock = threading.Lock()
    seen: list[tuple[int, int]] = []
    wrong: list[object] = []

    def at_rest(segment: Segment, start: int, stop: int) -> None:
        seen.append((segment.start + start, segment.start + stop))
        end_of_step = segment.start + stop
        if busy or any(reader.handled != end_of_step for reader in readers):
            wrong.append((end_of_step, set(busy), [reader.handled for reader in readers]))

    gate = Gate(1, readers, raw.log_streams, DEADLINE, lambda reader: wrong.append(reader.name), at_rest)
    threads = [ReaderThread(raw, reader) for reader in readers]
    for number, (thread, reader) in enumerate(zip(threads, readers, strict=True)):

        def done(number: int = number, inner: object = reader.done) -> None:
            with lock:
                busy.discard(number)
            inner()  # type: ignore[operator]

        def check(start: int, stop: int, number: int = number) -> None:
            with lock:
                busy.add(number)
            # Only the step that is out is ever worked on.
            if stop - start > 1:
                wrong.append((start, stop))

        reader.done = done  # type: ignore[method-assign]
        thread._check = check
        thread.start()
    for first in range(0, 60, 7):
        assert gate.publish(raw.append(steps(first, 7)))
    assert gate.drain()
    end(raw, gate, threads)
    assert wrong == []
    assert seen == [(at, at + 1) for at in range(raw.log.length)]


def test_at_rest_is_called_for_the_last_step_by_drain_and_not_twice() -> None:
    raw = RawLog()
    seen: list[int] = []
    gate = Gate(1, [], raw.log_streams, DEADLINE, lambda reader: None, lambda segment, start, stop: seen.append(stop))
    assert gate.publish(raw.append([Step(MINUTE_NS, ((0, 0),)), Step(2 * MINUTE_NS, ((0, 0),))]))
    assert seen == [1]
    assert gate.drain()
    assert gate.drain()
    assert seen == [1, 2]


def test_at_rest_reader_that_is_detached_is_not_waited_for() -> None:
    raw = RawLog()
    reader = raw.subscription(name="gone")
    reader.detach()
    seen: list[int] = []
    gate = Gate(1, [reader], raw.log_streams, DEADLINE, lambda reader: None, lambda segment, start, stop: seen.append(stop))
    assert gate.publish(raw.append([Step(MINUTE_NS, ((0, 0),)), Step(2 * MINUTE_NS, ((0, 0),))]))
    assert gate.drain()
    assert seen == [1, 2]


def test_at_rest_stopped_writer_settles_nothing_that_is_not_handled() -> None:
    raw = RawLog()
    reader = raw.subscription(name="slow")
    seen: list[int] = []
    gate = Gate(1, [reader], raw.log_streams, DEADLINE, lambda reader: None, lambda segment, start, stop: seen.append(stop))
    gate.stop()
    assert not gate.publish(raw.append([Step(MINUTE_NS, ((0, 0),)), Step(2 * MINUTE_NS, ((0, 0),))]))
    assert seen == []


def test_at_rest_what_it_raises_reaches_the_writer() -> None:
    raw = RawLog()

    def at_rest(segment: Segment, start: int, stop: int) -> None:
        raise RuntimeError("broken")

    gate = Gate(1, [], raw.log_streams, DEADLINE, lambda reader: None, at_rest)
    segment = raw.append([Step(MINUTE_NS, ((0, 0),)), Step(2 * MINUTE_NS, ((0, 0),))])
    with pytest.raises(RuntimeError, match="broken"):
        gate.publish(segment)


def test_at_rest_with_a_window_there_is_no_rest() -> None:
    raw = RawLog()
    with pytest.raises(ValueError, match="window of 1, not 2"):
        Gate(2, [], raw.log_streams, DEADLINE, lambda reader: None, lambda segment, start, stop: None)
    assert gate_for(raw, [], 2).window == 2
