"""ColumnEngine: keeps the columns of indicators, each part computed once, row for row beside the bars."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.data.session_data import Frame, Pool
from stratd.indicators.base import FIELDS, TIMES, Primitive, StreamInfo
from stratd.indicators.graph import Part, Plan
from stratd.indicators.node import IndicatorStats, Key, Node, Snapshot, Use, label_of
from stratd.indicators.program import Program, copy_all
from stratd.indicators.python_part import PythonPart
from stratd.indicators.store import NARROW, WIDE, ColumnStore

log = logging.getLogger("stratd.indicators")

_ARENA_CELLS: Final = 8_192
_MOST_GONE: Final = 1_000  # labels that figures are kept of when nothing of them is computed any more
_OTHERS: Final = "(others)"
# What a pointer points to.
_FIELD: Final = 0
_TIME: Final = 1
_COLUMN: Final = 2  # + element type
_NOWHERE: Final = 4


def load_operations(plan: Plan) -> None:
    """Compile a plan's operations, or take them from the cache.

    Raises:
        KernelError: one does not compile.
    """
    for part in plan.parts:
        if not isinstance(part.spec, PythonPart):
            part.spec.operation.load()


class ColumnEngine:
    """Computes parts for all rows, block by block, with one call for everything that is compiled.

    Columns live in a ColumnStore for each frame of SessionData: as the frame moves, so do they.

    Thread safety: none of its own. The hub guards its engine with a lock; a strategy's private one belongs to its thread.

    Attributes:
        frame, store: where rows are now; None before the first.
        done: int64[streams], absolute row up to which all but lazy columns are computed.
        moves: stores made so far.
        gone: the figures of nodes that are gone, by label and interval: computed, saved, seconds.
        failures: what computations have raised: where, and what.
    """

    def __init__(self, intervals: int, symbols: int, *, shared: bool) -> None:
        self.frame: Frame | None = None
        self.store: ColumnStore | None = None
        self.done: NDArray[np.int64] = np.zeros(intervals * symbols, np.int64)
        self.nodes: dict[Key, Node] = {}
        self.program = Program()
        self._copy_all = copy_all.load()
        self.moves = 0
        self.gone: dict[tuple[str, str], list[float]] = {}
        self._symbols = symbols
        self._pool = Pool() if shared else None
        self._slots: list[list[int]] = [[0] * intervals, [0] * intervals]  # [kind][interval]
        self._free: list[list[list[int]]] = [[[] for _ in range(intervals)] for _ in range(2)]
        self._lazy: dict[Key, Node] = {}
        self._slots_of: dict[Node, tuple[int, ...]] = {}
        self._base: NDArray[np.int64] = np.zeros(intervals * symbols, np.int64)
        self._arena: NDArray[np.float64] = np.zeros(0)
        self._arena_used = 0
        self._lazy_program: Program | None = None
        self._watched: dict[Node, None] = {}  # nodes whose computation can fail
        self.failures: dict[str, str] = {}
        self._count: NDArray[np.int64] = np.zeros(intervals * symbols, np.int64)

    # What is computed.

    def follow(self, count: NDArray[np.int64]) -> None:
        """`advance` computes the rows up to `count` (int64[streams], absolute), whatever it holds then."""
        self._count = count
        self.program.follow(self.done, count, self._base)

    def acquire(self, plan: Plan, origin_of: Callable[[StreamInfo], int], *, lazy: bool = False, narrow: bool = False) -> Use:
        """Have the parts of a plan computed, those that are not yet, from rows that are held. Whatever it raises, nothing is changed then.

        Args:
            origin_of: absolute row of a stream at which it begins for who asks; 0 before there are rows.
            lazy: compute when read, unless somebody needs it sooner.
            narrow: keep the outputs as float32.

        Raises:
            KernelError: an operation does not compile.
            OSError: there is no memory, or no file descriptor, for new columns.
        """
        load_operations(plan)  # what cannot be compiled says so before anything is changed

        def begins(stream: StreamInfo) -> int:
            # Nobody who is within the window asks for rows that are not held any more; a reader that has fallen behind may.
            return max(origin_of(stream), self._base_of(stream))

        made: list[Node] = []
        try:
            return self._acquire(plan, begins, made, lazy, narrow)
        except BaseException:
            for node in reversed(made):
                self._unmake(node)
            raise

    def _acquire(self, plan: Plan, begins: Callable[[StreamInfo], int], made: list[Node], lazy: bool, narrow: bool) -> Use:
        wide: dict[int, Node] = {}
        shown: dict[int, Node] = {}
        outputs = {part.key for part, _ in plan.outputs.values()}
        inner = {one.key for part in plan.parts for one, _ in part.inputs if isinstance(one, Part)}
        for part in plan.parts:
            for kind, nodes in ((WIDE, wide), (NARROW, shown)):
                # What others are computed from is kept whole, also where it is an output that is to be narrow.
                needed = narrow and part.key in outputs if kind == NARROW else part.key in inner or not narrow
                if needed:
                    key = (part.key, tuple(map(begins, part.streams)), kind)
                    node = self.nodes.get(key)
                    if node is None:
                        node = self._make(part, key, wide, lazy, begins, made)
                    elif node.lazy and not lazy:
                        self._hasten(node)
                    nodes[part.key] = node
        self._catch_up(made)
        chosen = shown if narrow else wide
        found = {name: (chosen[part.key], at) for name, (part, at) in plan.outputs.items()}
        for node, _ in found.values():
            node.uses += 1
        needed_all = (*wide.values(), *shown.values())
        for one in needed_all:
            self._reckon(one)
            one.requests += 1
        return Use(found, needed_all)

    def release(self, use: Use) -> None:
        """One use less; a second release of the same does nothing. What nobody uses any more goes."""
        if use.released:
            return
        use.released = True
        for node in use.nodes:
            self._reckon(node)
            node.requests -= 1
        for node, _ in use.outputs.values():
            self._let_go(node)

    def _let_go(self, node: Node) -> None:
        """With the last use a node goes, and its uses of others."""
        node.uses -= 1
        if node.uses > 0:
            return
        self._reckon(node)
        self._keep_figures(label_of(node), node.computed, node.saved, self.seconds_of(node))
        self.look(node)
        self._watched.pop(node, None)
        self._forget(node)
        for one, _ in node.inputs:
            if isinstance(one, Node):
                self._let_go(one)

    def _keep_figures(self, label: tuple[str, str], computed: int, saved: int, seconds: float) -> None:
        figures = self.gone.setdefault(label, [0, 0, 0.0])
        figures[:] = [figures[0] + computed, figures[1] + saved, figures[2] + seconds]
        if len(self.gone) > _MOST_GONE:
            oldest = next(iter(self.gone))
            self._keep_figures((_OTHERS, oldest[1]), *self.gone.pop(oldest))  # type: ignore[arg-type]

    def _forget(self, node: Node) -> None:
        """Compute a node no more, and give back what it has, as far as it has come."""
        if self.nodes.get(node.key) is node:
            del self.nodes[node.key]
        self._lazy.pop(node.key, None)
        if node.entry >= 0:
            self._program_of(node).remove(node.entry)
        interval = node.stream.interval_index
        for slot in self._slots_of.pop(node, ()):
            if self.store is not None:
                self.store.drop(node.kind, interval, slot)
            self._free[node.kind][interval].append(slot)

    def _unmake(self, node: Node) -> None:
        """Undo what has been done for a node of a request that has failed."""
        self._watched.pop(node, None)
        self._forget(node)
        if node.linked:
            for one, _ in node.inputs:
                if isinstance(one, Node):
                    one.uses -= 1

    def _make(
        self,
        part: Part,
        key: Key,
        nodes: dict[int, Node],
        lazy: bool,
        origin_of: Callable[[StreamInfo], int],
        made: list[Node],
    ) -> Node:
        spec, stream = part.spec, part.stream
        inputs = tuple((nodes[one.key], at) if isinstance(one, Part) else (one, at) for one, at in part.inputs)
        parameters = np.asarray(spec.parameters(stream), np.float64)
        if part.other is not None:
            parameters = np.append(parameters, float(origin_of(part.other)))
        state = self._cells(np.zeros(spec.state_size))
        node = Node(key, part, inputs, origin_of(stream), key[2], self._cells(parameters), state)  # type: ignore[arg-type]
        node.lazy, node.done, node.reckoned, node.born = lazy, node.origin, node.origin, self.moves
        made.append(node)  # from here on, whatever fails is undone
        interval = stream.interval_index
        free = self._free[node.kind][interval]
        slots = self._slots_of[node] = tuple(free.pop() if free else self._new_slot(node.kind, interval) for _ in spec.outputs)
        self.nodes[key] = node
        if lazy:
            self._lazy[key] = node
        node.linked = True
        for one, _ in node.inputs:
            if isinstance(one, Node):
                one.uses += 1
        for one, _ in node.inputs:
            if isinstance(one, Node) and one.lazy and not lazy:
                self._hasten(one)
        if self.store is not None:
            # The slot may be one that a matrix has, of a column that is not used any more but may still be looked at.
            for slot in slots:
                self.store.add(node.kind, interval, slot)
                self.store.written(node.kind, interval, slot)[: max(0, node.origin - self._base_of(stream))] = np.nan
        self._enter(node)
        if type(spec).failure is not Primitive.failure or isinstance(spec, PythonPart):
            self._watched[node] = None
        return node

    def _reckon(self, node: Node) -> None:
        """Bring `computed` and `saved` up to date."""
        node.computed, node.saved, node.reckoned = self._figures(node, self.done)

    def _figures(self, node: Node, done_rows: NDArray[np.int64]) -> tuple[int, int, int]:
        """What a node has come to: values computed, saved, and up to which row."""
        done = node.done if node.lazy else max(node.origin, int(done_rows[self._index(node.stream)]))
        values = (done - node.reckoned) * node.columns
        return node.computed + values, node.saved + values * max(0, node.requests - 1), done

    def seconds_of(self, node: Node) -> float:
        """Time spent on a node."""
        return node.seconds + float(self._program_of(node).spent[node.entry]) / 1e9

    def bytes_of(self, node: Node) -> int:
        """Memory of a node's values of rows that are held."""
        done = node.done if node.lazy else int(self.done[self._index(node.stream)])
        rows = max(0, done - max(node.origin, self._base_of(node.stream)))
        return rows * node.columns * (4 if node.kind == NARROW else 8)

    def _new_slot(self, kind: int, interval: int) -> int:
        self._slots[kind][interval] += 1
        return self._slots[kind][interval] - 1

    def _cells(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """A copy of `values` that lies close to those before, so that nodes that are run one after the other are near."""
        if len(values) > _ARENA_CELLS // 8:
            return values  # large tables are made once, for many nodes
        if self._arena_used + len(values) > len(self._arena):
            self._arena, self._arena_used = np.zeros(_ARENA_CELLS), 0
        cells = self._arena[self._arena_used : self._arena_used + len(values)]
        self._arena_used += len(values)
        cells[:] = values
        return cells

    def _program_of(self, node: Node) -> Program:
        if not node.lazy:
            return self.program
        if self._lazy_program is None:
            self._lazy_program = Program()
        return self._lazy_program

    def _enter(self, node: Node) -> None:
        """Put a node at the end of its program. Everything that it is made from stands there already."""
        spec, program = node.part.spec, self._program_of(node)
        address = -1 if isinstance(spec, PythonPart) else spec.operation.address
        other = -1 if node.part.other is None else self._index(node.part.other)
        node.entry, node.pointer = program.add(
            address,
            self._index(node.stream),
            len(node.inputs),
            node.columns,
            node.parameters.ctypes.data,
            node.state.ctypes.data,
            other=other,
            narrow=node.kind == NARROW,
        )
        if isinstance(spec, PythonPart):
            program.callers[node.entry] = lambda start, stop: self._run_python(node, spec, start, stop)
        places = [(*self._place(one, at), -1) for one, at in node.inputs]
        stream = self._index(node.stream)
        outputs = [(_COLUMN + node.kind, node.stream.interval_index, slot, stream) for slot in self._slots_of[node]]
        places += [(_NOWHERE, 0, 0, -1)] * len(outputs) + outputs if node.kind == NARROW else outputs
        program.places[node.pointer : node.pointer + len(places)] = places
        if self.store is not None:
            program.pointers[node.pointer : node.pointer + len(places)] = self._addresses(node)

    def _hasten(self, node: Node) -> None:
        """A lazy node is needed at once by somebody: it is computed with every block from now on."""
        for one, _ in node.inputs:
            if isinstance(one, Node) and one.lazy:
                self._hasten(one)
        self._compute_lazy(node)
        node.seconds = self.seconds_of(node)
        self._program_of(node).remove(node.entry)
        del self._lazy[node.key]
        node.lazy = False
        self._enter(node)

    # What has come of it.

    def look(self, node: Node) -> None:
        """Say, once, that a computation has failed."""
        error = node.error or node.part.spec.failure(node.state)
        where = f"{node.part.spec.label} on {node.stream.symbol} {node.stream.interval}"
        if error and where not in self.failures:
            self.failures[where] = error
            log.error("indicator %s has no values any more: its computation raised %s", where, error)

    def look_all(self) -> None:
        """See whether computations that can fail have done so."""
        for node in self._watched:
            self.look(node)

    def snapshot(self) -> Snapshot:
        """What figures are made of, to be worked on without stopping anybody."""
        programs = [program for program in (self.program, self._lazy_program) if program is not None]
        return Snapshot(
            list(self.nodes.values()),
            self.done.copy(),
            {id(program): program.spent.copy() for program in programs},
            {label: (int(one[0]), int(one[1]), one[2]) for label, one in self.gone.items()},
        )

    def stats(self, shot: Snapshot) -> list[IndicatorStats]:
        """What each indicator has come to, on each interval."""
        found = {label: [0, 0, computed, saved, 0, seconds] for label, (computed, saved, seconds) in shot.gone.items()}
        for node in shot.nodes:
            label = label_of(node)
            figures = found.setdefault(label, [0, 0, 0, 0, 0, 0.0])
            computed, saved, _ = self._figures(node, shot.done)
            spent = shot.spent.get(id(self._program_of(node)))
            seconds = node.seconds + (
                float(spent[node.entry]) / 1e9 if spent is not None and 0 <= node.entry < len(spent) else 0.0
            )
            for at, more in enumerate((node.columns, node.requests, computed, saved, self.bytes_of(node), seconds)):
                figures[at] += more
        return [IndicatorStats(*label, *figures) for label, figures in found.items()]  # type: ignore[arg-type]

    # Computing.

    def advance(self) -> None:
        """Compute all but lazy columns for the rows up to the counts that it follows."""
        if self.frame is not None:
            self.program.advance()
            if self._watched:
                self.look_all()

    def read_lazy(self, node: Node) -> None:
        """See to it that a node's rows are there, as far as those of all others."""
        if node.lazy and self.nodes.get(node.key) is node and node.done < self.done[self._index(node.stream)]:
            self._compute_lazy(node)

    def _compute_lazy(self, node: Node) -> None:
        for one, _ in node.inputs:
            if isinstance(one, Node):
                self.read_lazy(one)
        at = self._index(node.stream)
        if self.frame is None or node.done >= self.done[at]:
            return
        since = self.done.copy()
        since[at] = node.done
        self._program_of(node).run_one(node.entry, since, self.done, self._base)
        node.done = int(self.done[at])

    def _catch_up(self, made: Sequence[Node]) -> None:
        """Compute new nodes for the rows that are held. Lazy ones wait until they are read."""
        if self.frame is None:
            return
        for node in made:
            if not node.lazy:
                at = self._index(node.stream)
                since = self.done.copy()
                since[at] = min(node.origin, self.done[at])
                self.program.run_one(node.entry, since, self.done, self._base)

    def _run_python(self, node: Node, spec: PythonPart, start: int, stop: int) -> None:
        store = self.store
        assert store is not None
        columns = [self._input(one, at) for one, at in node.inputs]
        outputs = [store.written(node.kind, node.stream.interval_index, slot) for slot in self._slots_of[node]]
        first = max(0, node.origin - self._base_of(node.stream))
        number = self._base_of(node.stream) + start - node.origin
        try:
            spec.run(columns, outputs, start, stop, first, number, node.state)
        except Exception as error:
            # Somebody else's code, in a thread that everybody depends on: it costs its own values and nothing more.
            node.error = node.error or f"{type(error).__name__}: {error}"
            for column in outputs:
                column[start:stop] = np.nan

    # Where things are.

    def move(self, frame: Frame) -> ColumnStore:
        """Rows will be in `frame` from now on: take along what is computed of the rows that it holds."""
        for node in list(self._lazy.values()):
            self.read_lazy(node)
        numbering = None
        if 8 * sum(len(free) for kind in self._free for free in kind) > sum(map(sum, self._slots)):
            numbering = self._renumbered()
        store = ColumnStore(frame.capacity.tolist(), self._slots if numbering is None else numbering[1], self._pool)
        if numbering is not None:
            self._renumber(*numbering)
        store.slots = self._slots_of
        base = frame.base.reshape(-1)
        for program in (self.program, self._lazy_program):
            if self.store is not None and program is not None and program.length:
                self._copy(program, store, base)
        self.moves += 1
        store.number = self.moves
        self.frame, self.store, self._base = frame, store, base
        self._renew_programs()
        for program in (self.program, self._lazy_program):
            if program is not None:
                self._point(program, frame, store)
        self.program.follow(self.done, self._count, base)
        return store

    def _renumbered(self) -> tuple[dict[Node, tuple[int, ...]], list[list[int]]]:
        """Slots of all nodes, and how many there are, when none is left unused."""
        numbered: dict[Node, tuple[int, ...]] = {}
        used = [[0] * len(counts) for counts in self._slots]
        for node in self.nodes.values():
            kind, k = node.kind, node.stream.interval_index
            begin = used[kind][k]
            used[kind][k] += node.columns
            numbered[node] = tuple(range(begin, used[kind][k]))
        return numbered, used

    def _renumber(self, numbered: dict[Node, tuple[int, ...]], used: list[list[int]]) -> None:
        """Give every node its new slots. Stores that are there already keep the old numbers."""
        remaps = [[np.full(count, -1, np.int32) for count in counts] for counts in self._slots]
        for node, slots in numbered.items():
            remaps[node.kind][node.stream.interval_index][list(self._slots_of[node])] = slots
        self._slots_of, self._slots = numbered, used
        self._free = [[[] for _ in counts] for counts in used]
        for program in (self.program, self._lazy_program):
            if program is None:
                continue
            places = program.places[: len(program.pointers)]
            for kind, counts in enumerate(remaps):
                for k, remap in enumerate(counts):
                    # Entries that have been removed may have lost theirs before.
                    mine = (places[:, 0] == _COLUMN + kind) & (places[:, 1] == k) & (places[:, 2] >= 0)
                    places[mine, 2] = remap[places[mine, 2]]

    def _renew_programs(self) -> None:
        """Leave out what has been removed, where that is much."""
        for lazy, program in ((False, self.program), (True, self._lazy_program)):
            if program is None or program.removed <= max(64, program.length // 2):
                continue
            entered = sorted((node for node in self.nodes.values() if node.lazy == lazy), key=lambda node: node.entry)
            for node in entered:
                node.seconds = self.seconds_of(node)
            if lazy:
                self._lazy_program = Program() if entered else None
            else:
                self.program = Program()
            for node in entered:
                self._enter(node)

    def _copy(self, program: Program, new: ColumnStore, base: NDArray[np.int64]) -> None:
        """Copy the rows of a program's columns that are still held from where they are to a new store."""
        pointers = program.pointers
        places = program.places[: len(pointers)]
        mine = places[:, 3] >= 0
        what, k, slot, stream = places[mine].T
        size = np.where(what == _COLUMN + NARROW, 4, 8)
        begin = np.array([[new.address(kind, k) for k in range(len(new.capacity))] for kind in (WIDE, NARROW)])
        targets = begin[what - _COLUMN, k] + size * np.array(new.capacity)[k] * slot
        sources = pointers[mine] + size * (base - self._base)[stream]
        sizes = size * np.maximum(self.done - base, 0)[stream]
        self._copy_all(targets, sources, sizes)

    def _point(self, program: Program, frame: Frame, store: ColumnStore) -> None:
        """Set all pointers of a program anew."""
        intervals = range(len(store.capacity))
        rows = frame.capacity.astype(np.int64)
        begin = np.zeros((_NOWHERE + 1, len(rows)), np.int64)
        # The writer's own mapping, whose pages are there already. Operations do not write to their inputs: those of users are given
        # numbers, and arrays that can only be read.
        begin[_FIELD] = frame.floats.flat.ctypes.data + 8 * len(FIELDS) * frame.before
        begin[_TIME] = frame.times.flat.ctypes.data + 8 * len(TIMES) * frame.before
        for kind in (WIDE, NARROW):
            begin[_COLUMN + kind] = [store.address(kind, k) for k in intervals]
        stride = np.zeros_like(begin)
        stride[[_FIELD, _TIME, _COLUMN + WIDE]] = 8 * rows
        stride[_COLUMN + NARROW] = 4 * rows
        pointers = program.pointers
        what, k, number, _ = program.places[: len(pointers)].T
        pointers[:] = begin[what, k] + stride[what, k] * number

    def column(self, node: Node, output: int) -> NDArray[Any]:
        """A node's column to read, where it is now."""
        if self.store is None:
            return np.zeros(0)
        return self.store.read(node.kind, node.stream.interval_index, self._slots_of[node][output])

    def written(self, node: Node, output: int) -> NDArray[Any]:
        """A node's column to write, for what was computed elsewhere."""
        assert self.store is not None
        return self.store.written(node.kind, node.stream.interval_index, self._slots_of[node][output])

    def base_of(self, stream: StreamInfo) -> int:
        """Absolute row of position 0 of a stream's columns."""
        return self._base_of(stream)

    def errors(self) -> list[tuple[str, str]]:
        """What computations have raised: where, and what."""
        return list(self.failures.items())

    def held_bytes(self) -> int:
        """Memory of all columns."""
        return 0 if self.store is None else self.store.size

    def close(self) -> None:
        """Keep no memory for later."""
        if self._pool is not None:
            self._pool.close()

    def _index(self, stream: StreamInfo) -> int:
        return stream.interval_index * self._symbols + stream.symbol_index

    def _base_of(self, stream: StreamInfo) -> int:
        return int(self._base[self._index(stream)])

    def _place(self, one: Node | StreamInfo, at: int | str) -> tuple[int, int, int]:
        """What a pointer points to: its sort, interval, and number among those."""
        if isinstance(one, Node):
            return _COLUMN + one.kind, one.stream.interval_index, self._slots_of[one][int(at)]
        sort, names = (_FIELD, FIELDS) if at in FIELDS else (_TIME, TIMES)
        return sort, one.interval_index, names.index(str(at)) * self._symbols + one.symbol_index

    def _input(self, one: Node | StreamInfo, at: int | str) -> NDArray[np.float64]:
        if isinstance(one, Node):
            assert self.store is not None
            return self.store.read(one.kind, one.stream.interval_index, self._slots_of[one][int(at)])
        assert self.frame is not None
        k, s = one.interval_index, one.symbol_index
        if at in FIELDS:
            return self.frame.ro_floats[k, FIELDS.index(str(at)), s]  # type: ignore[no-any-return]
        return self.frame.ro_times[k, TIMES.index(str(at)), s].view(np.float64)  # type: ignore[no-any-return]

    def _input_address(self, one: Node | StreamInfo, at: int | str) -> int:
        frame = self.frame
        if isinstance(one, Node) or frame is None:
            return int(self._input(one, at).ctypes.data)
        if at in FIELDS:
            return int(frame.floats[one.interval_index, FIELDS.index(str(at)), one.symbol_index].ctypes.data)
        return int(frame.times[one.interval_index, TIMES.index(str(at)), one.symbol_index].ctypes.data)

    def _addresses(self, node: Node) -> list[int]:
        store = self.store
        assert store is not None
        k = node.stream.interval_index
        inputs = [self._input_address(one, at) for one, at in node.inputs]
        outputs = [store.written(node.kind, k, slot).ctypes.data for slot in self._slots_of[node]]
        return inputs + ([0] * len(outputs) + outputs if node.kind == NARROW else outputs)
