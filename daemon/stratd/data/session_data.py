"""SessionData: all bars of a session, as columns in shared memory."""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stratd.model import Interval

FLOAT_FIELDS: Final = ("open", "high", "low", "close", "volume")
TIME_FIELDS: Final = ("open_time", "close_time")
COUNT_FIELDS: Final = ("n", "lost", "quiet", "flags")
_PLENTY_BYTES: Final = 4 << 20  # memory of a session of few symbols, for which moving rows should be rare
T = TypeVar("T", bound=np.generic)
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


class Columns(Generic[T]):
    """The columns of one element type: a matrix of shape [field, symbol, position] for each interval, in one piece of memory.

    `columns[k]` is an interval's matrix, `columns[k, f, s, at]` one cell (each part may be a slice, but the first).

    Attributes:
        flat: all cells. Cell (k, f, s, at) has the index `fields * before[k] + (f * symbols + s) * capacity[k] + at`.
    """

    __slots__ = ("flat", "matrices")

    def __init__(self, flat: NDArray[T], symbols: int, capacity: Sequence[int]) -> None:
        self.flat = flat
        fields = len(flat) // max(1, symbols * sum(capacity))
        ends = np.cumsum([fields * symbols * rows for rows in capacity]).tolist()
        self.matrices = tuple(
            flat[end - fields * symbols * rows : end].reshape(fields, symbols, rows)
            for end, rows in zip(ends, capacity, strict=True)
        )

    def __getitem__(self, key: Any) -> Any:
        return self.matrices[key[0]][key[1:]] if isinstance(key, tuple) else self.matrices[key]

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        self.matrices[key[0]][key[1:]] = value


class Frame:
    """One piece of memory with the rows that are held: by interval, matrices of shape [field, symbol, position].

    A row of a symbol is contiguous, so every window of a column is. Position p of (k, s) is the absolute row
    `base[k, s] + p`. The memory is mapped twice: writable for the writer, PROT_READ for readers, so that a write
    through any view that readers get is refused by the system, and not by a flag that can be set back.

    Thread safety: the writer fills positions that are not published yet; published positions and `base` never change.
    Readers learn of rows only from the event log, whose publication comes after the writes. A frame lives as long as
    somebody holds a view of it; only then is its memory used again.

    Attributes:
        capacity: int64[k], rows that each stream of an interval has room for.
        before: int64[k], cells of one field of all shorter intervals.
        memory: where the rows are; floats come first.
        annex: what `SessionData.on_move` keeps beside these rows, position for position.
    """

    __slots__ = (
        "_written",
        "annex",
        "base",
        "before",
        "capacity",
        "counts",
        "floats",
        "memory",
        "ro_counts",
        "ro_floats",
        "ro_times",
        "times",
    )

    def __init__(self, symbols: int, capacity: Sequence[int], base: NDArray[np.int64], unused: Pool) -> None:
        self.annex: Any = None
        self.capacity = np.array(capacity, np.int64)
        self.before = symbols * (np.cumsum(self.capacity) - self.capacity)
        self.base = base
        cells = symbols * sum(capacity)
        kinds = ((np.float64, FLOAT_FIELDS), (np.int64, TIME_FIELDS), (np.int32, COUNT_FIELDS))
        sizes = [np.dtype(kind).itemsize * len(fields) * cells for kind, fields in kinds]
        memory = self.memory = unused.take(sum(sizes))
        self._written = memory.written
        read = mmap.mmap(memory.fd, memory.size, mmap.MAP_SHARED, mmap.PROT_READ)
        # When the readers' mapping has gone, nobody can see the memory, and it serves again.
        weakref.finalize(read, unused.give_back, memory).atexit = False

        def cut(mapping: mmap.mmap, part: int) -> Columns[Any]:
            kind = kinds[part][0]
            flat = np.frombuffer(mapping, kind, sizes[part] // np.dtype(kind).itemsize, sum(sizes[:part]))
            return Columns(flat, symbols, capacity)

        self.floats: Columns[np.float64] = cut(memory.written, 0)
        self.times: Columns[np.int64] = cut(memory.written, 1)
        self.counts: Columns[np.int32] = cut(memory.written, 2)
        self.ro_floats: Columns[np.float64] = cut(read, 0)
        self.ro_times: Columns[np.int64] = cut(read, 1)
        self.ro_counts: Columns[np.int32] = cut(read, 2)

    def drop_tails(self, held: NDArray[np.int64]) -> None:
        """Give back to the system the whole pages behind the rows that are held: an earlier use may have filled them.

        Args:
            held: int64[k, s], rows of each stream.
        """
        start = 0
        parts: tuple[Columns[Any], ...] = (self.floats, self.times, self.counts)
        for columns in parts:
            size = columns.flat.itemsize
            for k, matrix in enumerate(columns.matrices):
                rows = matrix.shape[2]
                for strip in range(matrix.shape[0] * matrix.shape[1]):
                    tail = start + (strip * rows + int(held[k, strip % matrix.shape[1]])) * size
                    first = -(-tail // mmap.PAGESIZE) * mmap.PAGESIZE
                    last = (start + (strip + 1) * rows * size) // mmap.PAGESIZE * mmap.PAGESIZE
                    if last > first:
                        self._written.madvise(mmap.MADV_REMOVE, first, last - first)
                start += matrix.size * size


class SessionData:
    """The columns of every (symbol, interval) of a session.

    Rows have absolute indices, 0 for the first bar of the session. At least `keep` rows of each stream are held
    behind the newest; when a stream has no room left, all rows that must stay move to new memory at once
    (`make_room`), and the old memory is used again when the last view of it has gone. So memory is bounded, however
    long the session. It begins small and grows with what is held, because a stream takes at least one page for each column.

    Thread safety: `frame` is replaced, never changed; the writer replaces it, readers take it once per window.
    `count` is the writer's own.

    Attributes:
        intervals: 1m first, then the derived ones, shorter first. Index k everywhere.
        symbols: in the session's order. Index s everywhere.
        count: int64[k, s], rows appended so far (published or not); the writer's.
        keep: rows held behind the newest row of a stream.
        on_move: called by the writer with a new frame, its rows in place, before anybody else sees it. What it returns
            becomes the frame's `annex`.
    """

    def __init__(self, symbols: Sequence[str], intervals: Sequence[Interval], keep: int) -> None:
        self.symbols = tuple(symbols)
        self.intervals = tuple(intervals)
        self.keep = keep
        self.count = np.zeros((len(intervals), len(symbols)), np.int64)
        self.compactions = 0
        self.on_move: Callable[[Frame], Any] | None = None
        self._unused = Pool()
        self.frame = self._new_frame([1] * len(intervals), np.zeros_like(self.count))

    def _new_frame(self, capacity: Sequence[int], base: NDArray[np.int64]) -> Frame:
        base.flags.writeable = False
        return Frame(len(self.symbols), capacity, base, self._unused)

    def make_room(self, rows: NDArray[np.int64]) -> None:
        """See to it that `rows` more rows fit in every stream. Moves what is kept to new memory if they do not, and before the first.

        Args:
            rows: int64[k, s], at most how many rows each stream will gain.
        """
        frame = self.frame
        held = self.count - frame.base
        if self.compactions and ((held + rows).max(axis=1, initial=0) <= frame.capacity).all():
            return
        stay = np.minimum(held, self.keep)
        need = (stay + rows).max(axis=1, initial=1)
        # Where rows are evicted, at least twice the room that is needed makes moves rare. Before that, room for three such
        # blocks at first, then half as much more as there was: pages that are not written cost nothing.
        evicting = held.max(axis=1, initial=0) > self.keep
        plenty = _PLENTY_BYTES // (ROW_BYTES * held.size)
        growing = 3 * need if self.compactions == 0 else np.minimum(frame.capacity * 3 // 2, 2 * need)
        roomy = np.where(evicting, np.maximum(2 * need, plenty), growing)
        capacity = np.maximum(np.maximum(need, roomy), np.where(evicting, frame.capacity, 1))
        moved = self._new_frame(capacity.tolist(), (self.count - stay).astype(np.int64))
        for k in range(len(self.intervals)):
            _move(frame, moved, k, held[k], stay[k])
        if self.on_move is not None:
            moved.annex = self.on_move(moved)
        self.frame = moved
        self.compactions += 1

    def trim(self) -> None:
        """Let go of memory that holds no rows: what is kept to be used again, and old pages behind the newest rows."""
        self._unused.close()
        self.frame.drop_tails(self.count - self.frame.base)

    def held_bytes(self) -> int:
        """Bytes of the rows that are held: what the columns would take as bare arrays."""
        return int((self.count - self.frame.base).sum()) * ROW_BYTES


def _move(old: Frame, new: Frame, k: int, held: NDArray[np.int64], stay: NDArray[np.int64]) -> None:
    """Copy the newest `stay[s]` of `held[s]` rows of every stream of interval k to the beginning of `new`."""
    for source, target in ((old.floats[k], new.floats[k]), (old.times[k], new.times[k]), (old.counts[k], new.counts[k])):
        if (held == held[0]).all() and (stay == stay[0]).all():
            target[:, :, : stay[0]] = source[:, :, held[0] - stay[0] : held[0]]
            continue
        for s in range(len(held)):
            target[:, s, : stay[s]] = source[:, s, held[s] - stay[s] : held[s]]
