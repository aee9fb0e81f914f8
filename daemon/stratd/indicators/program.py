"""Running many operations with one call: the table of what is computed, and the kernel that goes through it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.addresses import f4_at, f8_at, i8_at
from stratd.core.clock import perf_ns
from stratd.core.kernel import Intrinsic, kernel

# Columns of a program's table.
T_ADDRESS: Final = 0  # of the operation; 0: the entry has been removed; -1: something that the caller runs
T_STREAM: Final = 1
T_INPUTS: Final = 2  # index of its first input among the pointers; its outputs follow
T_OUTPUTS: Final = 3  # index of its first output
T_PARAMETERS: Final = 4  # address
T_STATE: Final = 5  # address
T_OTHER: Final = 6  # stream of the other rows that it reads, -1: none; the first cells of its state tell how many, and from which
T_NARROW: Final = 7  # outputs that are stored as float32; their columns' pointers follow those of the outputs
T_COLUMNS: Final = 8

# Cells of what a run needs: one array in place of a dozen arguments, each of which costs 70 ns at every call.
R_TABLE: Final = 0  # addresses from here
R_POINTERS: Final = 1
R_DONE: Final = 2
R_COUNT: Final = 3
R_BASE: Final = 4
R_SCRATCH: Final = 5
R_SPENT: Final = 6
R_CLOCK: Final = 7
R_FIRST: Final = 8  # entries to run
R_LAST: Final = 9
R_SAMPLE: Final = 10  # every how many blocks operations on few rows are timed
R_BLOCKS: Final = 11  # blocks so far
R_FINISH: Final = 12  # streams whose `done` becomes their `count` when all has been run; 0: none
R_CELLS: Final = 13

SCRATCH_ROWS: Final = 2_048  # rows that are computed before they are stored as float32
_SAMPLE: Final = 61  # blocks; a prime, so that streams which only some blocks have rows of are met too
_TIMED_ROWS: Final = 256  # from so many rows on, every call is timed: reading the clock twice costs some 50 ns


def _build_call() -> Any:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def call(context, address, inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
        def generate(target, builder, signature, arguments):  # type: ignore[no-untyped-def]
            whole, column = ir.IntType(64), ir.DoubleType().as_pointer()
            kinds = [column.as_pointer(), column.as_pointer(), whole, whole, column, column]
            function = ir.FunctionType(ir.VoidType(), kinds)
            values = [
                value if kind == whole else builder.inttoptr(value, kind)
                for value, kind in zip(arguments[1:], kinds, strict=True)
            ]
            builder.call(builder.inttoptr(arguments[0], function.as_pointer()), values)
            return target.get_dummy_value()

        return types.void(*[types.int64] * 7), generate

    return call


def _build_clock() -> Any:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def read_clock(context, address):  # type: ignore[no-untyped-def]
        def generate(target, builder, signature, arguments):  # type: ignore[no-untyped-def]
            whole, word = ir.IntType(64), ir.IntType(32)
            function = ir.FunctionType(word, [word, whole.as_pointer()])
            pair = builder.alloca(ir.ArrayType(whole, 2))
            first = builder.bitcast(pair, whole.as_pointer())
            builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [ir.Constant(word, 1), first])
            seconds = builder.load(first)
            rest = builder.load(builder.gep(first, [ir.Constant(whole, 1)]))
            return builder.add(builder.mul(seconds, ir.Constant(whole, 1_000_000_000)), rest)

        return types.int64(types.int64), generate

    return read_clock


def _build_copy() -> Any:
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def copy_bytes(context, target_address, source_address, count):  # type: ignore[no-untyped-def]
        def generate(target, builder, signature, arguments):  # type: ignore[no-untyped-def]
            into, source = (builder.inttoptr(one, cgutils.voidptr_t) for one in arguments[:2])
            cgutils.raw_memcpy(builder, into, source, arguments[2], 1)
            return target.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), generate

    return copy_bytes


call = Intrinsic(_build_call)  # run an operation
read_clock = Intrinsic(_build_clock)  # CLOCK_MONOTONIC in ns, from the address of clock_gettime
copy_bytes = Intrinsic(_build_copy)


@kernel("i8(i8[:])")
def run_entries(run):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Run entries of a program, each for the rows of its stream from `done` to `count`.

    Args:
        run: int64[R_CELLS], addresses of: the table, int64[entries, T_COLUMNS]; the pointers, int64[], addresses of row 0 (position)
            of every input and output; done and count, int64[streams], absolute rows; base, the absolute row of position 0;
            scratch, float64[outputs * SCRATCH_ROWS], for outputs that are stored as float32; spent, float64[entries], ns,
            which grows by the time each takes; clock_gettime. And the numbers that `R_FIRST` and the next are about.

    Returns:
        Where it stopped: the last entry, or the one that the caller has to run.
    """
    table, pointers = i8_at(run[R_TABLE]), i8_at(run[R_POINTERS])
    done, count, base = i8_at(run[R_DONE]), i8_at(run[R_COUNT]), i8_at(run[R_BASE])
    scratch, spent = f8_at(run[R_SCRATCH]), f8_at(run[R_SPENT])
    first, last, sample = run[R_FIRST], run[R_LAST], run[R_SAMPLE]
    if first == 0:
        run[R_BLOCKS] += 1
    weight = float(sample) if run[R_BLOCKS] % sample == 0 else 0.0
    for entry in range(first, last):
        row_of = entry * T_COLUMNS
        address = table[row_of + T_ADDRESS]
        if address == 0:
            continue
        stream = table[row_of + T_STREAM]
        start = done[stream] - base[stream]
        stop = count[stream] - base[stream]
        if stop <= start:
            continue
        if address == -1:
            return entry
        timed = weight > 0.0 or stop - start >= _TIMED_ROWS
        begun = read_clock(run[R_CLOCK]) if timed else 0
        parameters, state = table[row_of + T_PARAMETERS], table[row_of + T_STATE]
        other = table[row_of + T_OTHER]
        if other >= 0:
            f8_at(state)[0] = float(count[other] - base[other])
            f8_at(state)[1] = float(base[other])
        inputs = run[R_POINTERS] + 8 * table[row_of + T_INPUTS]
        outputs = table[row_of + T_OUTPUTS]
        narrow = table[row_of + T_NARROW]
        if narrow == 0:
            call(address, inputs, run[R_POINTERS] + 8 * outputs, start, stop, parameters, state)
        else:
            begin = start
            while begin < stop:
                end = min(begin + SCRATCH_ROWS, stop)
                for output in range(narrow):
                    pointers[outputs + output] = run[R_SCRATCH] + 8 * (output * SCRATCH_ROWS - begin)
                call(address, inputs, run[R_POINTERS] + 8 * outputs, begin, end, parameters, state)
                for output in range(narrow):
                    column = f4_at(pointers[outputs + narrow + output])
                    for row in range(begin, end):
                        column[row] = np.float32(scratch[output * SCRATCH_ROWS + row - begin])
                begin = end
        if timed:
            took = float(read_clock(run[R_CLOCK]) - begun)
            spent[entry] += took if stop - start >= _TIMED_ROWS else took * weight
    for stream in range(run[R_FINISH]):
        done[stream] = count[stream]
    return last


@kernel("void(ro i8[:], ro i8[:], ro i8[:])", release_gil=True)
def copy_all(targets, sources, sizes):  # type: ignore[no-untyped-def]
    """Copy so many bytes from each source address to its target."""
    for one in range(targets.shape[0]):
        copy_bytes(targets[one], sources[one], sizes[one])


def clock_address() -> int:
    """Address of the C library's clock_gettime."""
    library = ctypes.CDLL(None)
    return ctypes.cast(library.clock_gettime, ctypes.c_void_p).value or 0


def grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    """`array` with at least `room` rows, the new ones zero (-1 in int32); twice as many as it had, if it had too few."""
    if len(array) >= room:
        return array
    larger = np.full((max(room, 2 * len(array)), *array.shape[1:]), 0 if array.dtype != np.int32 else -1, array.dtype)
    larger[: len(array)] = array
    return larger


class Program:
    """Entries in the order in which they are run, and the addresses that they use.

    Thread safety: belongs to whoever runs it; the hub guards its own with its lock.
    """

    def __init__(self) -> None:
        self.length = 0
        self.removed = 0
        self.spent: NDArray[np.float64] = np.zeros(16)
        self.callers: dict[int, Callable[[int, int], None]] = {}  # by entry: what runs it, from row to row (positions)
        # By pointer: what it points to (three numbers, for its owner), and the stream if it is an output's, else -1.
        self.places: NDArray[np.int32] = np.full((64, 4), -1, np.int32)
        self._table: NDArray[np.int64] = np.zeros((16, T_COLUMNS), np.int64)
        self._pointers: NDArray[np.int64] = np.zeros(64, np.int64)
        self._used = 0
        self._scratch: NDArray[np.float64] = np.zeros(0)
        self._run = run_entries.load()
        # For all entries, with the arrays of rows that are always the same; and for some, now and then.
        self._always: NDArray[np.int64] = np.zeros(R_CELLS, np.int64)
        self._once: NDArray[np.int64] = np.zeros(R_CELLS, np.int64)
        self._always[R_CLOCK] = self._once[R_CLOCK] = clock_address()
        self._always[R_SAMPLE], self._once[R_SAMPLE] = _SAMPLE, 1
        self._rows: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None
        self._arrange()

    def _arrange(self) -> None:
        """Arrays have been made anew."""
        for run in (self._always, self._once):
            run[R_TABLE] = self._table.ctypes.data
            run[R_POINTERS] = self._pointers.ctypes.data
            run[R_SCRATCH] = self._scratch.ctypes.data
            run[R_SPENT] = self.spent.ctypes.data

    def add(
        self,
        address: int,
        stream: int,
        inputs: int,
        outputs: int,
        parameters: int,
        state: int,
        *,
        other: int = -1,
        narrow: bool = False,
    ) -> tuple[int, int]:
        """Append an entry.

        Args:
            address: of the operation; -1 for what the caller runs.
            inputs, outputs: how many.
            parameters, state: addresses. What is there must live as long as the entry.

        Returns:
            Its number, and the index of its first pointer: inputs, outputs, and those of float32 columns.
        """
        entry, pointer = self.length, self._used
        self._used += inputs + outputs * (2 if narrow else 1)
        if (
            entry == len(self._table)
            or self._used > len(self._pointers)
            or (narrow and len(self._scratch) < outputs * SCRATCH_ROWS)
        ):
            self._table, self.spent = grown(self._table, entry + 1), grown(self.spent, entry + 1)
            self._pointers = grown(self._pointers, self._used)
            self.places = grown(self.places, self._used)
            if narrow and len(self._scratch) < outputs * SCRATCH_ROWS:
                self._scratch = np.zeros(outputs * SCRATCH_ROWS)
            self._arrange()
        self._table[entry] = (
            address,
            stream,
            pointer,
            pointer + inputs,
            parameters,
            state,
            other,
            outputs if narrow else 0,
        )
        self.spent[entry] = 0.0
        self.length += 1
        self._always[R_LAST] = self.length
        return entry, pointer

    def remove(self, entry: int) -> None:
        """Run an entry no more. Its place is not used again."""
        self._table[entry, T_ADDRESS] = 0
        after = self._table[entry + 1, T_INPUTS] if entry + 1 < self.length else self._used
        self.places[self._table[entry, T_INPUTS] : after, 3] = -1
        self.callers.pop(entry, None)
        self.removed += 1

    @property
    def pointers(self) -> NDArray[np.int64]:
        """Addresses of row 0 of every input and output, as far as they are used."""
        return self._pointers[: self._used]

    def follow(self, done: NDArray[np.int64], count: NDArray[np.int64], base: NDArray[np.int64]) -> None:
        """From now on `advance` goes from `done` to `count` (absolute rows, by stream), where position 0 is row `base`."""
        self._rows = done, count, base
        self._always[R_DONE], self._always[R_COUNT], self._always[R_BASE] = (one.ctypes.data for one in self._rows)
        self._always[R_FINISH] = len(done)

    def advance(self) -> None:
        """Run all entries for the rows from `done` to `count`; then `done` is `count`."""
        stopped = self._run(self._always)
        if stopped < self.length:
            assert self._rows is not None
            self._go_on(self._always, stopped, self.length, *self._rows)
            self._always[R_FIRST] = 0

    def run_one(self, entry: int, done: NDArray[np.int64], count: NDArray[np.int64], base: NDArray[np.int64]) -> None:
        """Run one entry, for the rows from `done` to `count`."""
        run = self._once
        run[R_FIRST], run[R_LAST] = entry, entry + 1
        run[R_DONE], run[R_COUNT], run[R_BASE] = done.ctypes.data, count.ctypes.data, base.ctypes.data
        stopped = self._run(run)
        if stopped == entry:
            self._go_on(run, stopped, entry + 1, done, count, base)

    def _go_on(
        self,
        run: NDArray[np.int64],
        stopped: int,
        last: int,
        done: NDArray[np.int64],
        count: NDArray[np.int64],
        base: NDArray[np.int64],
    ) -> None:
        """Run what is not compiled, and all that follows it."""
        while stopped < last:
            stream = self._table[stopped, T_STREAM]
            begun = perf_ns()
            self.callers[stopped](int(done[stream] - base[stream]), int(count[stream] - base[stream]))
            self.spent[stopped] += perf_ns() - begun
            run[R_FIRST] = stopped + 1
            stopped = self._run(run)
