"""StreamSubscription: the gate between the writer and one strategy thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import kernel
from stratd.core.parking import Parker
from stratd.data.audit import SEED, mix
from stratd.data.event_log import EventLog, Segment
from stratd.data.session_data import Frame, SessionData

NOTIFY: Final = 0  # the bar is notified
WATCH: Final = 1  # the bar only becomes visible
SLICE_ONLY: Final = 2  # the bar becomes visible and counts for the slice
# Events selected at a time. A window's numbers must fit the cache: 16,384 make a callback that reads two indicators a third slower.
WINDOW_EVENTS: Final = 4_096

# Columns of the selection's state.
Q_TIME: Final = 0  # close time of the slice that is being collected
Q_INTERVAL: Final = 1  # its interval
Q_COUNT: Final = 2  # its bars so far; 0 = none is being collected
Q_HELD: Final = 3  # notifications held back for low quality, ever
Q_NOTIFIED: Final = 4  # notifications selected, ever
Q_EVENTS: Final = 5  # events written by the last call


@kernel(
    "i8(ro i8[:], ro i4[:], ro i8[:], ro f8[:], ro u8[:], i8, i8, ro i8[:,:],"
    " ro i4[:], ro u1[:], ro i8[:], ro u1[:], f8, i8[:], u8[:], i4[:], i8[:], i8[:], i8[:], i8[:])"
)
def select(  # type: ignore[no-untyped-def]  # the kernel signature is its type
    close_time,
    stream,
    row,
    quality,
    fingerprint,
    start,
    stop,
    base,
    slot_of,
    kind,
    lookback,
    sliced,
    min_quality,
    state,
    audit,
    out_slot,
    out_end,
    out_time,
    out_value,
    last_end,
):
    """Select one reader's events from log entries [start, stop) and hash what it is notified of.

    A bar that is notified gives its slot; anything else gives -1 - code, where code is the slot of a bar that only
    becomes visible, then slots + k for a slice of interval k, then slots + intervals + 2c (+1) for a session's close (open),
    then, for a bar that is withheld from a slice (low quality, too few bars), the number of all these + its slot.

    Returns:
        Where it stopped: `stop`, or earlier where the output is full.
    """
    intervals, symbols = base.shape
    slots = kind.shape[0]
    bars = intervals * symbols
    withheld = slots + intervals + slot_of.shape[0] - bars
    room = out_slot.shape[0]
    for slot in range(slots):
        last_end[slot] = -1
    e = 0
    i = start
    while e < room:
        # One event at most in each round, so that a smaller output gives a true prefix of a larger one's events.
        st = np.int64(-1) if i == stop else np.int64(stream[i])
        k = st // symbols if 0 <= st < bars else -1
        if state[Q_COUNT] > 0 and (i == stop or close_time[i] != state[Q_TIME] or k != state[Q_INTERVAL]):
            out_slot[e] = -1 - (slots + state[Q_INTERVAL])
            out_end[e] = e
            out_time[e] = state[Q_TIME]
            out_value[e] = state[Q_COUNT]
            audit[0] = mix(mix(mix(audit[0], np.uint64(state[Q_TIME])), np.uint64(state[Q_INTERVAL])), np.uint64(state[Q_COUNT]))
            state[Q_COUNT] = 0
            state[Q_NOTIFIED] += 1
            e += 1
            continue
        if i == stop:
            break
        slot = slot_of[st]
        if slot < 0:
            i += 1
            continue
        out_time[e] = close_time[i]
        out_value[e] = row[i]
        if k < 0:
            out_slot[e] = -1 - (slots + intervals + (st - bars))
            out_end[e] = e
            audit[0] = mix(mix(mix(audit[0], np.uint64(close_time[i])), np.uint64(st)), np.uint64(row[i]))
            state[Q_NOTIFIED] += 1
        else:
            s = st - k * symbols
            at = row[i] - base[k, s]
            out_end[e] = at + 1
            last_end[slot] = at + 1
            out_slot[e] = -1 - slot
            if kind[slot] != WATCH and row[i] + 1 >= lookback[slot]:
                if quality[i] < min_quality:
                    state[Q_HELD] += 1
                    if sliced[k]:
                        out_slot[e] = -1 - (withheld + slot)
                else:
                    if sliced[k]:
                        state[Q_TIME] = close_time[i]
                        state[Q_INTERVAL] = k
                        state[Q_COUNT] += 1
                    if kind[slot] == NOTIFY:
                        out_slot[e] = slot
                        state[Q_NOTIFIED] += 1
                    h = mix(mix(audit[0], np.uint64(close_time[i])), np.uint64(st))
                    audit[0] = mix(mix(h, np.uint64(row[i])), fingerprint[i])
            elif kind[slot] != WATCH and sliced[k]:
                out_slot[e] = -1 - (withheld + slot)
        e += 1
        i += 1
    state[Q_EVENTS] = e
    return i


@dataclass(frozen=True, slots=True)
class Slot:
    """One stream as a reader sees it."""

    interval_index: int
    symbol_index: int
    kind: int
    lookback: int


class StreamSubscription:
    """What one strategy reads, how far it has come, and how it and the writer wait for each other.

    The reader calls `take`, runs the window, and calls `done`. In data-driven mode the writer waits until readers
    have `handled` what it asked of them.

    Thread safety: `handled`, `windows`, `stamps`, the selection state and the position belong to the reader; the writer reads
    `handled` and `progress`. `detached` is set by either and stays set. The log's `published` orders everything else: the
    writer raises it after the rows are in place, the reader reads it before it looks at them.

    Attributes:
        handled: log position up to which the reader has done its work.
        windows: how many windows have been worked through.
        stamps: the reader's list for the window that it is in; it grows with each notification that has been handled.
        detached: the writer no longer waits for this reader.
        gate_wait_ns: how long the writer has waited for this reader.
        gated: streams of the log with which the writer waits for this reader.
        event_time, event_value: int64, of the window's events: close time, and a slice's bars or a session's index.
        last_end: int64[slots], one past the newest row (relative) that the window makes visible; -1 for none.
    """

    def __init__(
        self,
        name: str,
        log: EventLog,
        slots: Sequence[Slot],
        log_streams: int,
        symbols: int,
        sliced: Sequence[bool],
        session_events: Sequence[int],
        min_quality: float,
        followed: Sequence[int] = (),
    ) -> None:
        """Args:
        followed: streams of the log that the reader's account needs, so that the writer waits for it with them too.
        """
        self.name = name
        self.handled = 0
        self.windows = 0
        self.stamps: list[int] = []
        self.detached = False
        self.gate_wait_ns = 0
        self.reader = Parker()
        self.gate = Parker()
        self.slots = tuple(slots)
        self.streams = tuple(slot.interval_index * symbols + slot.symbol_index for slot in slots) + tuple(session_events)
        self.gated = tuple(dict.fromkeys((*self.streams, *followed)))
        self._log = log
        self._segment: Segment = log.tail
        self._position = 0
        slot_of = np.full(log_streams, -1, np.int32)
        for number, stream in enumerate(self.streams):
            slot_of[stream] = number
        self._tables = (
            slot_of,
            np.array([slot.kind for slot in slots], np.uint8),
            np.array([slot.lookback for slot in slots], np.int64),
            np.array(sliced, np.uint8),
            min_quality,
        )
        self._state = np.zeros(6, np.int64)
        self._before = np.zeros(6, np.int64)
        self._audit = np.array([SEED], np.uint64)
        self._out_slot = np.empty(WINDOW_EVENTS, np.int32)
        self._out_end = np.empty(WINDOW_EVENTS, np.int64)
        self.event_time = np.empty(WINDOW_EVENTS, np.int64)
        self.event_value = np.empty(WINDOW_EVENTS, np.int64)
        self._select = select.load()
        self.last_end = np.zeros(len(slots), np.int64)
        # The window that was taken last, and where the selection stood before it.
        self._window: tuple[Segment, int, int, Frame, int]

    # The reader's side.

    def take(self, data: SessionData) -> tuple[Frame, list[int], list[int]] | None:
        """Wait for something to read and select from it.

        Returns:
            The frame that rows are relative to, and each event's slot and end (see `select`); None at the end of the log.
        """
        while True:
            segment = self._segment
            published = segment.published
            if self._position < published or self._state[Q_COUNT]:
                break
            if segment.following is not None and self._position == len(segment):
                self._segment = segment.following
                self._position = 0
            elif (self._log.closed and segment is self._log.tail and self._position == segment.published) or self.detached:
                return None
            else:
                self.reader.wait(self._has_news)
        frame = data.frame
        self._before[:] = self._state
        self._window = (segment, self._position, published, frame, self._audit.item())
        if self.detached:
            # The writer no longer waits, so the frame may have moved past the rows of this window. Whoever finds
            # `detached` unset here took the frame while the writer was still held back.
            return None
        events = self._select_into(self._out_slot)
        return frame, self._out_slot[:events].tolist(), self._out_end[:events].tolist()

    def cut_window(self, events: int) -> None:
        """The reader ends within its window: undo the selection, and select only the first `events` events again.

        What was hashed and counted is then what the reader was really given, however long the window was.
        """
        _, self._position, _, _, audit = self._window
        self._state[:] = self._before
        self._audit[0] = audit
        self._select_into(self._out_slot[:events])

    def _select_into(self, out_slot: NDArray[np.int32]) -> int:
        segment, _, published, frame, _ = self._window
        self._position = self._select(
            segment.close_time, segment.stream, segment.row, segment.quality, segment.fingerprint,
            self._position, published, frame.base, *self._tables, self._state, self._audit,
            out_slot, self._out_end, self.event_time, self.event_value, self.last_end,
        )  # fmt: skip
        return self._state.item(Q_EVENTS)

    def account_window(self) -> tuple[Segment, int, int, Frame, NDArray[np.int64], int, bool]:
        """The window of the last `take`, for the account that follows it (see `stratd.execution.account.Window`)."""
        segment, start, published, frame, _ = self._window
        whole = self._position == published and not self._state[Q_COUNT]
        return segment, start, published, frame, self.event_time, self._state.item(Q_EVENTS), whole

    def done(self) -> None:
        """The window of the last `take` has been worked through."""
        # A full window can end between a step's last bar and its slice: the last entry is then still being handled.
        self.handled = self._segment.start + self._position - bool(self._state[Q_COUNT])
        self.windows += 1
        self.gate.wake()

    def detach(self) -> None:
        """Nobody waits for this reader any more, and it is given nothing more."""
        self.detached = True
        self.gate.wake()
        self.reader.wake()

    def _has_news(self) -> bool:
        segment = self._segment
        return (
            self._position < segment.published
            or (segment.following is not None and self._position == len(segment))
            or self._log.closed
            or self.detached
        )

    @property
    def progress(self) -> tuple[int, int]:
        """Changes while the reader works, also within a window."""
        return self.windows, len(self.stamps)

    @property
    def held_back(self) -> int:
        """Notifications held back because the stream's quality was under the strategy's `min_quality`."""
        return int(self._state[Q_HELD])

    @property
    def notified(self) -> int:
        """Notifications selected so far."""
        return int(self._state[Q_NOTIFIED])

    @property
    def audit(self) -> int:
        """Hash of all notifications selected so far, in order."""
        return int(self._audit[0])
