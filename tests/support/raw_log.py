"""SessionData and its event log, written by hand: every cell follows from its stream and row, so that a wrong one shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stratd.data.event_log import EventLog, Segment
from stratd.data.series import BarSeries
from stratd.data.session_data import COUNT_FIELDS, FLOAT_FIELDS, TIME_FIELDS, Frame, SessionData
from stratd.data.subscription import NOTIFY, Slot, StreamSubscription
from stratd.model import MINUTE_NS, Interval

FIELDS = (*FLOAT_FIELDS, *TIME_FIELDS, *COUNT_FIELDS)


def cells(field: str, k: int, s: int, rows: NDArray[np.int64]) -> NDArray[Any]:
    """What the rows (absolute) of a column hold. No two cells of a session hold the same."""
    if field in FLOAT_FIELDS:
        return 1.0 + FLOAT_FIELDS.index(field) + 8.0 * (k + 8 * s) + 1024.0 * rows
    if field in TIME_FIELDS:
        return (rows + TIME_FIELDS.index(field)) * MINUTE_NS + 8 * s + k
    return (1 + COUNT_FIELDS.index(field) + 4 * (k + 8 * s) + 256 * rows).astype(np.int32)


def fill(frame: Frame, k: int, s: int, start: int, stop: int) -> None:
    """Write the rows `start` to `stop - 1` (absolute) of a stream."""
    rows = np.arange(start, stop)
    at = slice(start - int(frame.base[k, s]), stop - int(frame.base[k, s]))
    for matrix, fields in ((frame.floats, FLOAT_FIELDS), (frame.times, TIME_FIELDS), (frame.counts, COUNT_FIELDS)):
        for f, field in enumerate(fields):
            matrix[k, f, s, at] = cells(field, k, s, rows)


def wrong_cells(series: BarSeries) -> list[str]:
    """The columns of a series that do not hold what they should, as far as its reader sees."""
    rows = np.arange(series.first_held, series.count)
    k, s = series.interval_index, series.symbol_index
    return [field for field in FIELDS if not np.array_equal(getattr(series, field), cells(field, k, s, rows))]


def content_of(stream: int, row: int) -> int:
    """What stands for the hash of a row's content in the log."""
    return ((stream + 1) * 0x9E3779B97F4A7C15 + row * 0xC2B2AE3D27D4EB4F) % 2**64


class Step(NamedTuple):
    """Entries of one close time: (k, s) for bars, one number for session events (0 = first calendar's close, 1 = its open)."""

    time: int
    entries: tuple[tuple[int, int] | int, ...]


class RawLog:
    """A writer without feed and derivation."""

    def __init__(self, symbols: int = 1, intervals: Sequence[str] = ("1m",), keep: int = 100, calendars: int = 1) -> None:
        self.symbols = tuple("ABCDEFGH"[:symbols])
        self.intervals = tuple(Interval(text) for text in intervals)
        self.data = SessionData(self.symbols, self.intervals, keep)
        self.log = EventLog()
        self.log_streams = len(intervals) * symbols + 2 * calendars
        self._length = 0

    def append(self, steps: Sequence[Step], quality: float | Sequence[float] = 1.0) -> Segment:
        """Write the rows of some steps, and link the segment that stands for them. Nothing is published."""
        segment = self.segment(steps, quality)
        self.write(segment)
        self.log.append(segment)
        return segment

    def segment(self, steps: Sequence[Step], quality: float | Sequence[float] = 1.0) -> Segment:
        """Make room for some steps, and give the segment that stands for them. No row is written."""
        data = self.data
        symbols = len(self.symbols)
        coming = np.zeros_like(data.count)
        for step in steps:
            for entry in step.entries:
                if isinstance(entry, tuple):
                    coming[entry] += 1
        data.make_room(coming)
        time, stream, row, ends = [], [], [], []
        for step in steps:
            for entry in step.entries:
                time.append(step.time)
                if isinstance(entry, tuple):
                    k, s = entry
                    stream.append(k * symbols + s)
                    row.append(int(data.count[k, s]))
                    data.count[k, s] += 1
                else:
                    stream.append(len(self.intervals) * symbols + entry)
                    row.append(0)
            ends.append(len(time))
        made = Segment(
            self._length,
            np.array(time, np.int64),
            np.array(stream, np.int32),
            np.array(row, np.int64),
            np.broadcast_to(np.asarray(quality, np.float64), len(time)).copy(),
            np.array([content_of(*entry) for entry in zip(stream, row, strict=True)], np.uint64),
            np.array(ends, np.int64),
        )
        self._length += len(time)
        return made

    def write(self, segment: Segment) -> None:
        """Write the rows that a segment stands for."""
        symbols = len(self.symbols)
        bars = segment.stream < symbols * len(self.intervals)
        for stream in np.unique(segment.stream[bars]):
            rows = segment.row[segment.stream == stream]
            fill(self.data.frame, int(stream) // symbols, int(stream) % symbols, int(rows[0]), int(rows[-1]) + 1)

    def subscription(
        self,
        slots: Sequence[Slot] | None = None,
        *,
        sliced: Sequence[bool] | None = None,
        sessions: Sequence[int] = (),
        min_quality: float = 0.0,
        name: str = "reader",
    ) -> StreamSubscription:
        """A reader; of every stream where no slots are given."""
        if slots is None:
            slots = [Slot(k, s, NOTIFY, 0) for k in range(len(self.intervals)) for s in range(len(self.symbols))]
        bars = len(self.intervals) * len(self.symbols)
        return StreamSubscription(
            name,
            self.log,
            slots,
            self.log_streams,
            len(self.symbols),
            [False] * len(self.intervals) if sliced is None else sliced,
            [bars + number for number in sessions],
            min_quality,
        )

    def series(self, k: int = 0, s: int = 0, history: int = 50) -> BarSeries:
        """A reader's view of a stream."""
        return BarSeries(self.symbols[s], self.intervals[k], s, k, history)


def minutes(count: int, symbols: int = 1, first: int = 0) -> list[Step]:
    """Steps of one minute each, with a 1m bar of every symbol."""
    return [Step((first + i + 1) * MINUTE_NS, tuple((0, s) for s in range(symbols))) for i in range(count)]


def publish(segment: Segment) -> None:
    """Publish all of a segment, without a gate."""
    segment.published = len(segment)
