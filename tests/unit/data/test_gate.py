from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.data.event_log import Segment
from stratd.data.gate import Gate, mark_last
from stratd.data.subscription import NOTIFY, WATCH, Slot, StreamSubscription
from stratd.errors import BarrierTimeout
from stratd.model import MINUTE_NS

from ...support.raw_log import RawLog, Step, minutes

DEADLINE = 20.0


def gate_for(
    raw: RawLog, readers: Sequence[StreamSubscription], window: int, timeout: float = DEADLINE, on_timeout: Any = None
) -> Gate:
    def unexpected(reader: StreamSubscription) -> None:
        raise AssertionError(f"{reader.name} made no progress")

    return Gate(window, readers, raw.log_streams, timeout, on_timeout or unexpected)


class ReaderThread(threading.Thread):
    """Works a subscription off; `check` is called for every window."""

    def __init__(
        self, raw: RawLog, reader: StreamSubscription, check: Callable[[int, int], None] = lambda start, stop: None
    ) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._raw, self._reader, self._check = raw, reader, check

    def run(self) -> None:
        reader = self._reader
        try:
            while reader.take(self._raw.data) is not None:
                segment, position, published = reader._window[:3]
                self._check(segment.start + position, segment.start + published)
                reader.done()
        except BaseException as error:
            self.error = error
            reader.detach()


def end(raw: RawLog, gate: Gate, threads: Sequence[ReaderThread]) -> None:
    raw.log.close()
    gate.wake_all()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
        assert thread.error is None, thread.error


@pytest.mark.parametrize("window", [1, 2, 3, 64])
def test_publish_slowest_reader_is_never_more_than_the_window_behind(window: int) -> None:
    raw = RawLog(symbols=3, keep=100)
    ends: list[int] = []  # of every step, in log positions
    furthest = [0]
    readers = [
        raw.subscription([Slot(0, 0, NOTIFY, 0)], name="first"),
        raw.subscription([Slot(0, s, NOTIFY, 0) for s in range(3)], name="all"),
        raw.subscription([Slot(0, 2, WATCH, 0)], name="watches"),
    ]
    gate = gate_for(raw, readers, window)

    own: list[list[int]] = [[] for _ in readers]  # positions of each reader's events

    def checker(number: int) -> Callable[[int, int], None]:
        def check(start: int, stop: int) -> None:
            tail = raw.log.tail
            published = tail.start + tail.published
            # A reader is behind by the steps since the first event that it has not handled.
            at = bisect_left(own[number], start)
            if at < len(own[number]) and (event := own[number][at]) < published:
                steps_out = bisect_right(ends, published) - bisect_right(ends, event)
                furthest[0] = max(furthest[0], steps_out)
                assert steps_out <= window, f"{steps_out} steps are out"

        return check

    threads = [ReaderThread(raw, reader, checker(number)) for number, reader in enumerate(readers)]
    for thread in threads:
        thread.start()
    for first in range(0, 400, 25):
        steps = [
            Step((minute + 1) * MINUTE_NS, tuple((0, s) for s in range(3) if (minute + s) % (s + 2)) or ((0, 0),))
            for minute in range(first, first + 25)
        ]
        segment = raw.append(steps)
        ends.extend((segment.start + segment.step_end).tolist())
        for number, reader in enumerate(readers):
            own[number].extend((segment.start + np.flatnonzero(np.isin(segment.stream, reader.streams))).tolist())
        assert gate.publish(segment)
        assert segment.published == len(segment)
    assert gate.drain()
    assert [reader.handled > positions[-1] for reader, positions in zip(readers, own, strict=True)] == [True] * 3
    end(raw, gate, threads)
    assert (gate.steps, gate.published) == (400, raw.log.length)
    assert 1 <= furthest[0] <= window
    assert all(reader.handled == raw.log.length for reader in readers)


def test_publish_window_of_one_every_reader_has_finished_a_step_before_the_next() -> None:
    raw = RawLog(symbols=2)
    readers = [raw.subscription(name=str(number)) for number in range(3)]
    gate = gate_for(raw, readers, 1)
    at_work: list[set[int]] = [set() for _ in readers]
    together: list[int] = []
    busy: set[int] = set()
    lock = threading.Lock()

    def checker(number: int) -> Callable[[int, int], None]:
        def check(start: int, stop: int) -> None:
            with lock:
                busy.add(start)
                at_work[number].add(start)
                together.append(len(busy))
                # All others have finished this step's predecessor, or are still to see it as their next.
                assert all(reader.handled >= start for reader in readers)
                busy.discard(start)

        return check

    threads = [ReaderThread(raw, reader, checker(number)) for number, reader in enumerate(readers)]
    for thread in threads:
        thread.start()
    for first in range(0, 60, 20):
        assert gate.publish(raw.append(minutes(20, symbols=2, first=first)))
    assert gate.drain()
    end(raw, gate, threads)
    assert at_work == [set(range(0, 120, 2))] * 3
    assert max(together) == 1


def test_publish_readers_without_events_are_not_waited_for() -> None:
    raw = RawLog(symbols=2)
    quiet = raw.subscription([Slot(0, 1, NOTIFY, 0)])  # nobody runs it
    gate = gate_for(raw, [quiet], 1)
    for first in range(0, 100, 10):
        assert gate.publish(raw.append(minutes(10, symbols=1, first=first)))
    assert gate.drain()
    assert (gate.wait_ns, quiet.handled) == (0, 0)


def test_publish_reader_of_quiet_streams_follows_and_holds_no_old_segment() -> None:
    raw = RawLog(symbols=2)
    quiet = raw.subscription([Slot(0, 1, NOTIFY, 0)])
    gate = gate_for(raw, [quiet], 4)
    moved = threading.Event()
    thread = ReaderThread(raw, quiet, lambda start, stop: moved.set() if start == 90 else None)
    thread.start()
    for first in range(0, 100, 10):
        assert gate.publish(raw.append(minutes(10, symbols=1, first=first)))
    assert moved.wait(DEADLINE)
    end(raw, gate, [thread])
    assert quiet._segment is raw.log.tail


def test_publish_without_readers_never_waits() -> None:
    raw = RawLog()
    gate = gate_for(raw, [], 1)
    assert gate.publish(raw.append(minutes(50)))
    assert gate.drain()
    assert gate.steps == 50


def test_publish_segment_without_entries_publishes_nothing() -> None:
    raw = RawLog()
    reader = raw.subscription()
    gate = gate_for(raw, [reader], 1)
    assert gate.publish(raw.append([]))
    assert (gate.steps, gate.published) == (0, 0)


def test_publish_keeps_half_a_window_out_while_the_other_is_prepared() -> None:
    raw = RawLog()
    reader = raw.subscription()  # nobody runs it
    gate = gate_for(raw, [reader], 10)
    assert gate.publish(raw.append(minutes(10)))  # fits without anybody reading
    assert gate.wait_ns == 0


# Barriers.


class StubParker:
    """Stands where the writer waits: each wait does the next thing, and says what the condition says then."""

    def __init__(self, *actions: Callable[[], None]) -> None:
        self.actions = list(actions)
        self.timeouts: list[float] = []

    def wake(self) -> None:
        pass

    def wait(self, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        self.timeouts.append(timeout_seconds)
        self.actions.pop(0)()
        return condition()


def test_wait_reader_without_progress_is_said_once_a_barrier_and_then_left() -> None:
    raw = RawLog()
    hung, late = raw.subscription(name="hung"), []

    def on_timeout(reader: StreamSubscription) -> None:
        late.append(reader.name)
        reader.detach()

    gate = gate_for(raw, [hung], 1, 0.01, on_timeout)
    assert gate.publish(raw.append(minutes(20)))
    assert gate.drain()
    assert late == ["hung"]
    assert gate.timeouts == 1
    assert gate.wait_ns >= 10_000_000
    assert hung.gate_wait_ns == gate.wait_ns
    assert gate.steps == 20


def test_wait_reader_is_blamed_only_when_it_makes_no_progress_twice() -> None:
    raw = RawLog()
    reader = raw.subscription()
    late: list[str] = []

    def handle() -> None:
        reader.take(raw.data)
        reader.done()

    def notify() -> None:
        reader.stamps.append(1)

    def nothing() -> None:
        pass

    parker = StubParker(notify, notify, nothing, notify, nothing, nothing, notify, handle)
    reader.gate = parker  # type: ignore[assignment]
    gate = gate_for(raw, [reader], 1, 7.0, lambda found: late.append(found.name))
    assert gate.publish(raw.append(minutes(2)))
    assert late == ["reader"]  # once, for the two waits in which nothing moved; progress within a window counts
    assert gate.timeouts == 1
    # The second look comes soon.
    assert parker.timeouts == [7.0, 7.0, 7.0, 1.0, 7.0, 1.0, 1.0, 7.0]


def test_wait_timeout_that_ends_the_session_reaches_the_writer() -> None:
    raw = RawLog()

    def on_timeout(reader: StreamSubscription) -> None:
        raise BarrierTimeout(reader.name)

    gate = gate_for(raw, [raw.subscription(name="hung")], 1, 0.001, on_timeout)
    with pytest.raises(BarrierTimeout, match="hung"):
        gate.publish(raw.append(minutes(2)))


def test_stop_writer_that_waits_is_let_go_and_publishes_nothing_more() -> None:
    raw = RawLog()
    reader = raw.subscription()  # nobody runs it
    gate = gate_for(raw, [reader], 1)
    segment = raw.append(minutes(10))
    answers: list[bool] = []
    writer = threading.Thread(target=lambda: answers.append(gate.publish(segment)), daemon=True)
    writer.start()
    gate.stop()
    writer.join(DEADLINE)
    assert answers == [False]
    assert segment.published <= 1
    assert gate.publish(raw.append(minutes(1, first=10))) is False
    assert gate.drain() is (segment.published == 0)


def test_detach_writer_that_waits_is_let_go() -> None:
    raw = RawLog()
    reader = raw.subscription()
    gate = gate_for(raw, [reader], 1)
    segment = raw.append(minutes(10))
    answers: list[bool] = []
    writer = threading.Thread(target=lambda: answers.append(gate.publish(segment)), daemon=True)
    writer.start()
    reader.detach()
    writer.join(DEADLINE)
    assert answers == [True]
    assert segment.published == 10


def test_drain_waits_until_everything_is_handled() -> None:
    raw = RawLog()
    reader = raw.subscription()
    gate = gate_for(raw, [reader], 100)
    begin = threading.Event()
    thread = ReaderThread(raw, reader, lambda start, stop: begin.wait(DEADLINE) and None)
    thread.start()
    assert gate.publish(raw.append(minutes(20)))
    answers: list[bool] = []
    drained = threading.Thread(target=lambda: answers.append(gate.drain()), daemon=True)
    drained.start()
    assert reader.handled == 0
    assert answers == []
    begin.set()
    drained.join(DEADLINE)
    assert answers == [True]
    assert reader.handled == 20
    end(raw, gate, [thread])


# Whom a chunk waits for.


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.sets(st.integers(0, 3)), max_size=4), st.data())
def test_mark_last_is_one_past_each_readers_last_event(entries: list[int], streams: list[set[int]], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(entries)))
    stop = data.draw(st.integers(start, len(entries)))
    by_stream = [[number for number, held in enumerate(streams) if stream in held] for stream in range(4)]
    first = np.cumsum([0, *map(len, by_stream)], dtype=np.int64)
    reader = np.array([number for numbers in by_stream for number in numbers], np.int64)
    expected = []
    for held in streams:
        last = [i for i in range(start, stop) if entries[i] in held]
        expected.append(100 + last[-1] + 1 if last else 7)
    for call in (mark_last.load(), mark_last.function):
        mark = np.full(len(streams), 7, np.int64)
        call(np.array(entries, np.int32), start, stop, 100, first, reader, mark)
        assert mark.tolist() == expected


def test_segments_are_typed_as_the_kernels_want_them() -> None:
    segment = Segment.empty()
    assert [array.dtype.str for array in (segment.close_time, segment.stream, segment.row, segment.quality, segment.fingerprint, segment.step_end)] == [
        "<i8", "<i4", "<i8", "<f8", "<u8", "<i8",
    ]  # fmt: skip
