"""EventLog: what has been published, in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Segment:
    """The events of one block. Entry i has position `start + i` in the log.

    Thread safety: the arrays are filled before the segment is linked and never change. `published` is raised by the
    writer after the rows it stands for are in the columns; a reader looks at entries below `published` only.
    `following` is set once.

    Attributes:
        close_time: int64[n], ns UTC, ascending.
        stream: int32[n]. Below intervals x symbols a bar of stream k * symbols + s; then, two per calendar, its session's close and open.
        row: int64[n], absolute row of the bar; for session events the session's index in its calendar.
        fingerprint: uint64[n], hash of the bar's content (`audit.fingerprint`); 0 for session events.
        quality: float64[n], minutes present / (present + lost) of the bar's symbol up to then; 1 for session events.
        step_end: int64[m], where each step of the segment ends.
    """

    __slots__ = ("close_time", "fingerprint", "following", "published", "quality", "row", "start", "step_end", "stream")

    def __init__(
        self,
        start: int,
        close_time: NDArray[np.int64],
        stream: NDArray[np.int32],
        row: NDArray[np.int64],
        quality: NDArray[np.float64],
        fingerprint: NDArray[np.uint64],
        step_end: NDArray[np.int64],
    ) -> None:
        self.start = start
        self.close_time = close_time
        self.stream = stream
        self.row = row
        self.quality = quality
        self.fingerprint = fingerprint
        self.step_end = step_end
        self.published = 0
        self.following: Segment | None = None

    def __len__(self) -> int:
        return len(self.close_time)

    @classmethod
    def empty(cls, start: int = 0) -> Segment:
        """A segment without entries: where readers start."""
        times = np.zeros(0, np.int64)
        return cls(start, times, np.zeros(0, np.int32), times, np.zeros(0), np.zeros(0, np.uint64), times)


class EventLog:
    """A chain of segments. Readers hold the segment they are in, so what everybody has read goes by itself.

    Thread safety: `append` and `close` are the writer's. A segment is linked only when the one before it is fully
    published. `closed` is raised after the last publication, and `complete` before that.
    """

    __slots__ = ("closed", "complete", "length", "tail")

    def __init__(self) -> None:
        self.tail = Segment.empty()
        self.length = 0
        self.closed = False
        self.complete = False

    def append(self, segment: Segment) -> None:
        """Link a segment; nothing of it is published yet."""
        self.tail.following = segment
        self.tail = segment
        self.length += len(segment)

    def close(self, complete: bool = True) -> None:
        """Say that nothing more will come; `complete`: because there is nothing more, and not because somebody stopped it."""
        self.complete = complete
        self.closed = True
