from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stratd.data import subscription as module
from stratd.data.audit import SEED, mix
from stratd.data.event_log import Segment
from stratd.data.subscription import NOTIFY, Q_EVENTS, SLICE_ONLY, WATCH, Slot, StreamSubscription, select
from stratd.model import MINUTE_NS

from ...support.raw_log import RawLog, Step, content_of, minutes, publish
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

INTERVALS = ("1m", "2m")
SYMBOLS = 2
BARS = len(INTERVALS) * SYMBOLS
WITHHELD = len(INTERVALS) + 2  # behind the slots: slices, a session's close and open, then bars that are withheld from a slice
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Event(NamedTuple):
    """One event as a reader gets it: see `select` for the code."""

    code: int
    time: int
    value: int  # absolute row; a slice's bars


@dataclass
class Reading:
    """What a reader asks for."""

    slots: tuple[Slot, ...]
    sliced: tuple[bool, ...] = (False, False)
    sessions: tuple[int, ...] = ()
    min_quality: float = 0.0

    def of(self, raw: RawLog) -> StreamSubscription:
        return raw.subscription(self.slots, sliced=self.sliced, sessions=self.sessions, min_quality=self.min_quality)


@dataclass
class Expected:
    """The selection in plain Python."""

    events: list[Event] = field(default_factory=list)
    audits: list[int] = field(default_factory=list)  # after each event
    held: int = 0
    notified: int = 0


def hashed(audit: int, numbers: Sequence[int]) -> int:
    for number in numbers:
        with np.errstate(over="ignore"):
            audit = int(mix.function(np.uint64(audit), np.uint64(number)))
    return audit


def expect(reading: Reading, segments: Sequence[Segment]) -> Expected:
    """What `reading` must be given of segments that are published whole: the rules of ADR 0001, by filtering."""
    found = Expected()
    audit = SEED
    numbers = {(slot.interval_index, slot.symbol_index): number for number, slot in enumerate(reading.slots)}
    count = len(reading.slots)
    pending: list[int] = []  # time, interval, bars

    def end_slice() -> None:
        nonlocal audit
        if pending:
            audit = hashed(audit, pending)
            found.events.append(Event(-1 - (count + pending[1]), pending[0], pending[2]))
            found.audits.append(audit)
            found.notified += 1
            pending.clear()

    for segment in segments:
        for time, stream, row, quality in zip(
            segment.close_time.tolist(), segment.stream.tolist(), segment.row.tolist(), segment.quality.tolist(), strict=True
        ):
            k, s = divmod(stream, SYMBOLS) if stream < BARS else (-1, -1)
            if pending and (pending[0], pending[1]) != (time, k):
                end_slice()
            if stream >= BARS:
                if stream - BARS in reading.sessions:
                    audit = hashed(audit, [time, stream, row])
                    found.events.append(Event(-1 - (count + len(INTERVALS) + stream - BARS), time, row))
                    found.notified += 1
                    found.audits.append(audit)
                continue
            if (k, s) not in numbers:
                continue
            number = numbers[k, s]
            slot = reading.slots[number]
            code = -1 - number
            if slot.kind != WATCH and row + 1 >= slot.lookback:
                if quality < reading.min_quality:
                    found.held += 1
                    if reading.sliced[k]:
                        code = -1 - (WITHHELD + count + number)
                else:
                    if reading.sliced[k]:
                        pending[:] = [time, k, pending[2] + 1 if pending else 1]
                    if slot.kind == NOTIFY:
                        code = number
                        found.notified += 1
                    audit = hashed(audit, [time, stream, row, content_of(stream, row)])
            elif slot.kind != WATCH and reading.sliced[k]:
                code = -1 - (WITHHELD + count + number)
            found.events.append(Event(code, time, row))
            found.audits.append(audit)
        end_slice()  # a segment ends with a step
    return found


def window_of(reader: StreamSubscription, raw: RawLog, slots: Sequence[Slot]) -> list[Event] | None:
    """The next window, its rows as absolute ones."""
    withheld = len(slots) + len(raw.intervals) + 2
    window = reader.take(raw.data)
    if window is None:
        return None
    frame, codes, ends = window
    events = []
    for number, (code, end) in enumerate(zip(codes, ends, strict=True)):
        slot = code if code >= 0 else -1 - code
        slot -= withheld if slot >= withheld else 0
        if slot < len(slots):
            base = int(frame.base[slots[slot].interval_index, slots[slot].symbol_index])
            events.append(Event(code, int(reader.event_time[number]), base + end - 1))
        else:
            assert end == number
            events.append(Event(code, int(reader.event_time[end]), int(reader.event_value[end])))
    return events


def read_all(reader: StreamSubscription, raw: RawLog, slots: Sequence[Slot]) -> list[Event]:
    """Everything up to the end of a closed log."""
    found: list[Event] = []
    while (window := window_of(reader, raw, slots)) is not None:
        found += window
        reader.done()
    return found


@st.composite
def step_lists(draw: st.DrawFn) -> list[Step]:
    steps = []
    for minute in range(draw(st.integers(1, 12))):
        entries: list[tuple[int, int] | int] = []
        for k in (0, 1):
            if k == 0 or minute % 2:
                entries += [(k, s) for s in range(SYMBOLS) if draw(st.booleans())]
        entries += [number for number in (0, 1) if draw(st.integers(0, 4)) == 0]
        if entries:
            steps.append(Step((minute + 1) * MINUTE_NS, tuple(entries)))
    return steps


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    streams = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=4, unique=True))
    slots = tuple(
        Slot(k, s, draw(st.sampled_from([NOTIFY, NOTIFY, WATCH, SLICE_ONLY])), draw(st.integers(0, 4))) for k, s in streams
    )
    return Reading(
        slots,
        tuple(draw(st.tuples(st.booleans(), st.booleans()))),
        tuple(draw(st.lists(st.integers(0, 1), unique=True))),
        draw(st.sampled_from([0.0, 0.75])),
    )


def log_of(steps: Sequence[Step], cuts: Sequence[int], quality: Sequence[float]) -> tuple[RawLog, list[Segment]]:
    """A log of some steps, cut into segments; nothing is published."""
    raw = RawLog(symbols=SYMBOLS, intervals=INTERVALS, keep=50)
    segments = []
    edges = [0, *sorted(cut % (len(steps) + 1) for cut in cuts), len(steps)]
    for start, stop in pairwise(edges):
        part = steps[start:stop]
        entries = sum(len(step.entries) for step in part)
        segments.append(raw.append(part, [quality[i % len(quality)] for i in range(entries)] if entries else 1.0))
    return raw, segments


qualities = st.lists(st.sampled_from([1.0, 1.0, 0.5]), min_size=1, max_size=7)


# What is selected.


@quick
@given(step_lists(), readings(), st.lists(st.integers(0, 12), max_size=3), qualities, st.integers(1, 9))
def test_take_any_window_size_and_any_segments_give_the_same_events_and_hash(
    monkeypatch: pytest.MonkeyPatch, steps: list[Step], reading: Reading, cuts: list[int], quality: list[float], room: int
) -> None:
    assume(steps)
    monkeypatch.setattr(module, "WINDOW_EVENTS", room)
    raw, segments = log_of(steps, cuts, quality)
    reader = reading.of(raw)  # begins where the log stands: behind everything
    reader._segment, reader._position = segments[0], 0
    for segment in segments:
        publish(segment)
    raw.log.close()
    expected = expect(reading, segments)
    assert read_all(reader, raw, reading.slots) == expected.events
    assert reader.audit == (expected.audits[-1] if expected.audits else SEED)
    assert (reader.held_back, reader.notified) == (expected.held, expected.notified)
    assert reader.handled == raw.log.length


@quick
@given(step_lists(), readings(), qualities, st.data())
def test_cut_window_is_a_true_prefix_of_the_windows_events(
    steps: list[Step], reading: Reading, quality: list[float], data: st.DataObject
) -> None:
    assume(steps)
    raw, segments = log_of(steps, [], quality)
    reader, other = reading.of(raw), reading.of(raw)
    for one in (reader, other):
        one._segment, one._position = segments[0], 0
    publish(segments[0])
    window = window_of(reader, raw, reading.slots)
    assert window is not None
    n = data.draw(st.integers(0, len(window)))
    reader.cut_window(n)
    expected = expect(reading, segments)
    assert window == expected.events
    assert reader.audit == (expected.audits[n - 1] if n else SEED)
    codes = [event.code for event in window[:n]]
    assert reader.notified == sum(code >= 0 or 0 <= -1 - code - len(reading.slots) < WITHHELD for code in codes)
    # Selecting only so many events in the first place leaves the same state behind, and goes on the same.
    other._window = (segments[0], 0, segments[0].published, raw.data.frame, other.audit)
    assert other._select_into(other._out_slot[:n]) == n
    assert (other._state == reader._state).all()
    assert (other.audit, other._position) == (reader.audit, reader._position)
    reader.cut_window(len(window))
    assert reader.audit == (expected.audits[-1] if expected.audits else SEED)


def test_take_window_that_ends_between_a_steps_last_bar_and_its_slice_still_gives_the_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WINDOW_EVENTS", 2)
    raw = RawLog(symbols=2)
    reading = Reading((Slot(0, 0, NOTIFY, 0), Slot(0, 1, NOTIFY, 0)), (True,))
    reader = reading.of(raw)
    publish(raw.append(minutes(1, symbols=2)))
    raw.log.close()
    assert window_of(reader, raw, reading.slots) == [Event(0, MINUTE_NS, 0), Event(1, MINUTE_NS, 0)]
    reader.done()
    assert reader.handled < raw.log.length  # the writer goes on waiting
    assert window_of(reader, raw, reading.slots) == [Event(-3, MINUTE_NS, 2)]
    reader.done()
    assert reader.handled == raw.log.length
    assert reader.take(raw.data) is None


def test_take_low_quality_is_held_back_and_visible() -> None:
    raw = RawLog()
    reading = Reading((Slot(0, 0, NOTIFY, 0),), (True,), min_quality=0.9)
    alone = Reading(reading.slots, (False,), min_quality=0.9)
    readers = [reading.of(raw), alone.of(raw)]
    publish(raw.append(minutes(3), [1.0, 0.5, 0.95]))
    raw.log.close()
    # The bar in the middle is withheld from a slice: behind one slot, one slice and two session events.
    assert [event.code for event in read_all(readers[0], raw, reading.slots)] == [0, -2, -5, 0, -2]
    assert [event.code for event in read_all(readers[1], raw, reading.slots)] == [0, -1, 0]
    assert [(reader.held_back, reader.notified) for reader in readers] == [(1, 4), (1, 2)]


def test_take_lookback_begins_with_the_bar_that_completes_it() -> None:
    raw = RawLog()
    reading = Reading((Slot(0, 0, NOTIFY, 3),))
    reader = reading.of(raw)
    publish(raw.append(minutes(4)))
    raw.log.close()
    assert [event.code for event in read_all(reader, raw, reading.slots)] == [-1, -1, 0, 0]


def test_take_watched_stream_is_visible_and_not_hashed() -> None:
    raw = RawLog(symbols=2)
    both = Reading((Slot(0, 0, NOTIFY, 0), Slot(0, 1, WATCH, 0)))
    alone = Reading((Slot(0, 0, NOTIFY, 0),))
    readers = [both.of(raw), alone.of(raw)]
    publish(raw.append(minutes(3, symbols=2)))
    raw.log.close()
    assert [event.code for event in read_all(readers[0], raw, both.slots)] == [0, -2] * 3
    assert [event.code for event in read_all(readers[1], raw, alone.slots)] == [0] * 3
    assert readers[0].audit == readers[1].audit


def test_take_slices_come_behind_the_last_bar_of_their_interval_and_count_what_came() -> None:
    raw = RawLog(symbols=2, intervals=INTERVALS)
    slots = tuple(Slot(k, s, SLICE_ONLY, 0) for k in (0, 1) for s in (0, 1))
    reading = Reading(slots, (True, True), (1,))
    reader = reading.of(raw)
    publish(
        raw.append(
            [
                Step(MINUTE_NS, ((0, 1),)),
                Step(2 * MINUTE_NS, ((0, 0), (0, 1), (1, 0), 0, 1)),
                Step(3 * MINUTE_NS, ((1, 1),)),
            ]
        )
    )
    raw.log.close()
    one, two, three = (number * MINUTE_NS for number in (1, 2, 3))
    assert read_all(reader, raw, slots) == [
        Event(-2, one, 0), Event(-5, one, 1),
        Event(-1, two, 0), Event(-2, two, 1), Event(-5, two, 2), Event(-3, two, 0), Event(-6, two, 1), Event(-8, two, 0),
        Event(-4, three, 0), Event(-6, three, 1),
    ]  # fmt: skip


# The kernel as Python: what compiled code does cannot be seen by coverage.


@settings(deadline=None, max_examples=15)
@given(step_lists(), readings(), qualities, st.integers(0, 9))
def test_select_in_python_does_what_the_compiled_one_does(
    steps: list[Step], reading: Reading, quality: list[float], room: int
) -> None:
    assume(steps)
    raw, segments = log_of(steps, [], quality)
    (segment,) = segments
    frame = raw.data.frame
    results: list[Any] = []
    for call in (select.load(), select.function):
        reader = reading.of(raw)
        outputs = (np.full(room, -99, np.int32), np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64))
        last_end = np.zeros(len(reading.slots), np.int64)
        with np.errstate(over="ignore"):
            at = call(
                segment.close_time, segment.stream, segment.row, segment.quality, segment.fingerprint, 0, len(segment), frame.base,
                *reader._tables, reader._state, reader._audit, *outputs, last_end,
            )  # fmt: skip
        made = int(reader._state[Q_EVENTS])
        results.append(
            (int(at), reader._state.tolist(), reader.audit, *(out[:made].tolist() for out in outputs), last_end.tolist())
        )
    assert results[0] == results[1]


# Waiting, and ending.


def test_take_nothing_there_waits_until_the_writer_wakes() -> None:
    raw = RawLog()
    reader = raw.subscription()
    found: list[Any] = []

    def read() -> None:
        while (window := reader.take(raw.data)) is not None:
            found.append(window[1])
            reader.done()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    for first in range(50):
        segment = raw.append(minutes(1, first=first))
        publish(segment)
        reader.reader.wake()
        assert reader.gate.wait(lambda: reader.handled == raw.log.length, 10)
    raw.log.close()
    reader.reader.wake()
    thread.join(10)
    assert not thread.is_alive()
    assert found == [[0]] * 50


def test_take_published_in_part_gives_that_part() -> None:
    raw = RawLog()
    reader = raw.subscription()
    segment = raw.append(minutes(5))
    slots = reader.slots
    for published in (2, 3, 5):
        segment.published = published
        window = window_of(reader, raw, slots)
        assert window is not None
        reader.done()
        assert reader.handled == published == window[-1].value + 1


def test_take_log_closed_before_all_of_it_was_published_gives_what_was() -> None:
    raw = RawLog()
    reader = raw.subscription()
    segment = raw.append(minutes(5))
    segment.published = 2
    raw.log.close()
    assert len(read_all(reader, raw, reader.slots)) == 2


def test_take_passes_over_segments_without_entries() -> None:
    raw = RawLog()
    reader = raw.subscription()
    raw.append([])
    raw.append([])
    publish(raw.append(minutes(1)))
    raw.log.close()
    assert len(read_all(reader, raw, reader.slots)) == 1


def test_detach_reader_that_waits_is_let_go() -> None:
    raw = RawLog()
    reader = raw.subscription()
    thread = threading.Thread(target=lambda: reader.take(raw.data), daemon=True)
    thread.start()
    reader.detach()
    thread.join(10)
    assert not thread.is_alive()


def test_detach_reader_is_given_nothing_more_although_it_was_published() -> None:
    """The writer no longer waits for it: rows of what it has not read may be gone."""
    raw = RawLog(keep=2)
    reader = raw.subscription()
    for first in range(0, 40, 4):
        publish(raw.append(minutes(4, first=first)))
    assert int(raw.data.frame.base[0, 0]) > 0
    reader.detach()
    assert reader.take(raw.data) is None
    assert reader.audit == SEED


def test_last_end_is_the_newest_row_of_each_slot_in_the_window() -> None:
    raw = RawLog(symbols=2)
    reader = raw.subscription()
    publish(raw.append([Step(MINUTE_NS, ((0, 0),)), Step(2 * MINUTE_NS, ((0, 0),))]))
    reader.take(raw.data)
    assert reader.last_end.tolist() == [2, -1]
    reader.done()
    publish(raw.append([Step(3 * MINUTE_NS, ((0, 1),))]))
    reader.take(raw.data)
    assert reader.last_end.tolist() == [-1, 1]
