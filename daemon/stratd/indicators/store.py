"""ColumnStore: the memory of computed columns, row for row beside the bars of one frame."""

from __future__ import annotations

import mmap
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.data.copy_on_write import copy_on_write
from stratd.data.session_data import Memory, Pool

WIDE: Final = 0  # float64
NARROW: Final = 1  # float32
_KINDS: Final = (np.float64, np.float32)


_LATER: Final = 32  # columns in a piece of memory for later ones
_Later: TypeAlias = tuple[NDArray[Any], NDArray[Any], Memory | None, int]


class ColumnStore:
    """Columns of the streams of one frame: position p of a column is position p of its stream.

    A column is a slot of its interval and element type. Those that are known when the store is made lie in matrices, in
    one piece of memory; slots that are added later share smaller pieces, which go with the last view of them.
    Shared memory is mapped twice, like the bars': a write through any view that readers get is refused.

    Thread safety: written by its owner, under its owner's lock where there are several; rows that are published never change.
    """

    __slots__ = (
        "_first",
        "_in_use",
        "_later",
        "_left",
        "_memory",
        "_pool",
        "_read",
        "_written",
        "capacity",
        "number",
        "size",
        "slots",
    )

    def __init__(self, capacity: Sequence[int], slots: Sequence[Sequence[int]], pool: Pool | None) -> None:
        """Args:
        capacity: rows of each interval's streams.
        slots: [kind][interval], how many columns.
        pool: where shared memory comes from; None for memory of this thread alone.
        """
        self.capacity = tuple(capacity)
        self.number = 0  # of its engine's stores
        self.slots: Mapping[Any, tuple[int, ...]] = {}  # of each of its engine's nodes, as they were numbered then
        self._pool = pool
        # By slot: to write, to read, the memory where it is shared, and where its mapping for readers begins.
        self._later: dict[tuple[int, int, int], _Later] = {}
        self._left: dict[tuple[int, int], list[_Later]] = {}  # of pieces of memory that are not used up
        self._in_use: Counter[tuple[int, int]] = Counter()
        cells = [[count * rows for count, rows in zip(counts, capacity, strict=True)] for counts in slots]
        self.size = sum(np.dtype(kind).itemsize * sum(row) for kind, row in zip(_KINDS, cells, strict=True))
        written, read, self._memory = self._allocate(self.size)
        self._first = np.frombuffer(read, np.uint8).ctypes.data
        self._written: list[list[NDArray[Any]]] = []
        self._read: list[list[NDArray[Any]]] = []
        offset = 0
        for kind, counts in zip(_KINDS, slots, strict=True):
            mine: list[NDArray[Any]] = []
            theirs: list[NDArray[Any]] = []
            for count, rows in zip(counts, capacity, strict=True):
                mine.append(np.frombuffer(written, kind, count * rows, offset).reshape(count, rows))
                theirs.append(np.frombuffer(read, kind, count * rows, offset).reshape(count, rows))
                offset += np.dtype(kind).itemsize * count * rows
            self._written.append(mine)
            self._read.append(theirs)

    def _allocate(self, size: int) -> tuple[Any, Any, Memory | None]:
        """Memory to write, and the same to read."""
        if size == 0:
            return b"", b"", None
        if self._pool is None:
            memory = np.empty(size, np.uint8)
            view = memory.view()
            view.flags.writeable = False
            return memory, view, None
        shared = self._pool.take(size)
        read = mmap.mmap(shared.fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
        # When the readers' mapping has gone, nobody can see the memory, and it serves again.
        weakref.finalize(read, self._pool.give_back, shared).atexit = False
        return shared.written, read, shared

    def add(self, kind: int, interval: int, slot: int) -> None:
        """Give memory to a slot that the matrices do not have, or that has been given back.

        Several such slots share a piece of memory, because each piece costs three file descriptors; the pieces grow.

        Raises:
            OSError: there is no memory, or no file descriptor.
        """
        rows = self.capacity[interval]
        left = self._left.setdefault((kind, interval), [])
        if not left:
            count = 1 if self._pool is None else max(_LATER, len(self._later))
            written, read, shared = self._piece(np.dtype(_KINDS[kind]).itemsize * rows * count)
            mine, theirs = np.frombuffer(written, _KINDS[kind]), np.frombuffer(read, _KINDS[kind])
            for at in reversed(range(count)):
                cut = slice(at * rows, (at + 1) * rows)
                left.append((mine[cut], theirs[cut], shared, theirs.ctypes.data))
        self._later[kind, interval, slot] = column = left.pop()
        self._in_use[kind, interval] += 1
        self.size += column[0].nbytes

    def _piece(self, size: int) -> tuple[Any, Any, Memory | None]:
        if self._pool is None:
            return self._allocate(size)
        shared = Memory(size)
        return shared.written, mmap.mmap(shared.fd, size, mmap.MAP_SHARED, mmap.PROT_READ), shared

    def drop(self, kind: int, interval: int, slot: int) -> None:
        """A slot is not used any more. A matrix' row goes with the store, another with the last of its piece."""
        gone = self._later.pop((kind, interval, slot), None)
        if gone is not None:
            self.size -= gone[0].nbytes
            self._in_use[kind, interval] -= 1
            if not self._in_use[kind, interval]:
                self._left.pop((kind, interval), None)

    def written(self, kind: int, interval: int, slot: int) -> NDArray[Any]:
        """A column to write."""
        later = self._later.get((kind, interval, slot))
        column: NDArray[Any] = self._written[kind][interval][slot] if later is None else later[0]
        return column

    def read(self, kind: int, interval: int, slot: int) -> NDArray[Any]:
        """A column to read."""
        later = self._later.get((kind, interval, slot))
        column: NDArray[Any] = self._read[kind][interval][slot] if later is None else later[1]
        return column

    def copy_on_write(self, kind: int, interval: int, slot: int, rows: slice) -> NDArray[Any]:
        """Rows of a column, to be altered; see `data.copy_on_write`."""
        later = self._later.get((kind, interval, slot))
        if later is None:
            column, memory, first = self._read[kind][interval][slot], self._memory, self._first
        else:
            _, column, memory, first = later
        return column[rows].copy() if memory is None else copy_on_write(column[rows], memory, first)

    def address(self, kind: int, interval: int) -> int:
        """Where the first of the columns that the store was made with begins."""
        return self._written[kind][interval].ctypes.data
