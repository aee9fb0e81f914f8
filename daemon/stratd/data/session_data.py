"""SessionData: all bars of a session, as columns in shared memory."""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.model import Interval

FLOAT_FIELDS: Final = ("open", "high", "low", "close", "volume")
TIME_FIELDS: Final = ("open_time", "close_time")
COUNT_FIELDS: Final = ("n", "lost", "quiet", "flags")
ROW_BYTES: Final = 8 * len(FLOAT_FIELDS) + 8 * len(TIME_FIELDS) + 4 * len(COUNT_FIELDS)


class Memory:
    """A memfd and the writer's mapping of it."""

    __slots__ = ("fd", "size", "written")

    def __init__(self, size: int) -> None:
        self.size = size
        self.fd = os.memfd_create("stratd-session-data", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.fd, size)
            self.written = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError:
            os.close(self.fd)
            raise

    def __del__(self) -> None:
        if hasattr(self, "written"):
            os.close(self.fd)


class Pool:
    """Memory that nobody sees any more, to be used again: a fresh page costs 1.7 µs.

    Thread safety: `give_back` is called by whoever lets go of the last view, `take` and `close` by the writer.
    """

    def __init__(self) -> None:
        self._unused: deque[Memory] = deque(maxlen=2)

    def take(self, size: int) -> Memory:
        """Memory of `size` bytes; what it held before is still in it. Pieces of other sizes are let go."""
        while self._unused:
            memory = self._unused.popleft()
            if memory.size == size:
                return memory
        return Memory(size)

    def give_back(self, memory: Memory) -> None:
        """Keep memory for later, or let it go if there is enough."""
        self._unused.append(memory)

    def close(self) -> None:
        """Let go of everything, now and later."""
        self._unused = deque(maxlen=0)


class Frame:
    """One piece of memory with the rows that are held: matrices of shape [interval, field, symbol, position].

    A row of a symbol is contiguous, so every window of a column is. Position p of (k, s) is the absolute row
    `base[k, s] + p`. The memory is mapped twice: writable for the writer, PROT_READ for readers, so that a write
    through any view that readers get is refused by the system, and not by a flag that can be set back.

    Thread safety: the writer fills positions that are not published yet; published positions and `base` never change.
    Readers learn of rows only from the event log, whose publication comes after the writes. A frame lives as long as
    somebody holds a view of it; only then is its memory used again.
    """

    __slots__ = ("base", "capacity", "counts", "floats", "ro_counts", "ro_floats", "ro_times", "times")

    def __init__(self, intervals: int, symbols: int, capacity: int, base: NDArray[np.int64], unused: Pool) -> None:
        self.capacity = capacity
        self.base = base
        cells = intervals * symbols * capacity
        sizes = (8 * len(FLOAT_FIELDS) * cells, 8 * len(TIME_FIELDS) * cells, 4 * len(COUNT_FIELDS) * cells)
        memory = unused.take(sum(sizes))
        read = mmap.mmap(memory.fd, memory.size, mmap.MAP_SHARED, mmap.PROT_READ)
        # When the readers' mapping has gone, nobody can see the memory, and it serves again.
        weakref.finalize(read, unused.give_back, memory).atexit = False
        shape = (intervals, -1, symbols, capacity)

        def cut(mapping: mmap.mmap, dtype: type, part: int) -> NDArray[Any]:
            return np.frombuffer(mapping, dtype, sizes[part] // np.dtype(dtype).itemsize, sum(sizes[:part])).reshape(shape)

        self.floats: NDArray[np.float64] = cut(memory.written, np.float64, 0)
        self.times: NDArray[np.int64] = cut(memory.written, np.int64, 1)
        self.counts: NDArray[np.int32] = cut(memory.written, np.int32, 2)
        self.ro_floats: NDArray[np.float64] = cut(read, np.float64, 0)
        self.ro_times: NDArray[np.int64] = cut(read, np.int64, 1)
        self.ro_counts: NDArray[np.int32] = cut(read, np.int32, 2)


class SessionData:
    """The columns of every (symbol, interval) of a session.

    Rows have absolute indices, 0 for the first bar of the session. At least `keep` rows of each stream are held
    behind the newest; when a stream has no room left, all rows that must stay move to new memory at once
    (`make_room`), and the old memory is used again when the last view of it has gone. So memory is bounded by
    `capacity` rows a stream, however long the session, and only pages that have been written count.

    Thread safety: `frame` is replaced, never changed; the writer replaces it, readers take it once per window.
    `count` is the writer's own.

    Attributes:
        intervals: 1m first, then the derived ones, shorter first. Index k everywhere.
        symbols: in the session's order. Index s everywhere.
        count: int64[k, s], rows appended so far (published or not); the writer's.
        keep: rows held behind the newest row of a stream.
    """

    def __init__(self, symbols: Sequence[str], intervals: Sequence[Interval], keep: int, capacity: int) -> None:
        self.symbols = tuple(symbols)
        self.intervals = tuple(intervals)
        self.keep = keep
        self.count = np.zeros((len(intervals), len(symbols)), np.int64)
        self.compactions = 0
        self._unused = Pool()
        self.frame = self._new_frame(capacity, np.zeros_like(self.count))

    def _new_frame(self, capacity: int, base: NDArray[np.int64]) -> Frame:
        base.flags.writeable = False
        return Frame(len(self.intervals), len(self.symbols), capacity, base, self._unused)

    def make_room(self, rows: NDArray[np.int64]) -> None:
        """See to it that `rows[s]` more rows fit in every stream of symbol s.

        Moves what is kept to new memory if they do not. The memory grows where its capacity is not enough.
        """
        frame = self.frame
        held = self.count - frame.base
        if int((held + rows).max(initial=0)) <= frame.capacity:
            return
        stay = np.minimum(held, self.keep)
        need = int((stay + rows).max(initial=0))
        capacity = max(frame.capacity, need)
        base: NDArray[np.int64] = self.count - stay
        moved = self._new_frame(capacity, base.copy())
        for k in range(len(self.intervals)):
            for s in range(len(self.symbols)):
                rows_kept = int(stay[k, s])
                if rows_kept:
                    start = int(held[k, s]) - rows_kept
                    for old, new in ((frame.floats, moved.floats), (frame.times, moved.times), (frame.counts, moved.counts)):
                        new[k, :, s, :rows_kept] = old[k, :, s, start : start + rows_kept]
        self.frame = moved
        self.compactions += 1

    def trim(self) -> None:
        """Let go of memory that is kept to be used again."""
        self._unused.close()

    def held_bytes(self) -> int:
        """Bytes of the rows that are held: what the columns would take as bare arrays."""
        return int((self.count - self.frame.base).sum()) * ROW_BYTES
