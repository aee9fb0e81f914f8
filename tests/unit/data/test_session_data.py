from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.data import session_data as module
from stratd.data.session_data import COUNT_FIELDS, FLOAT_FIELDS, ROW_BYTES, TIME_FIELDS, Frame, Memory, SessionData
from stratd.model import Interval

from ...support.raw_log import RawLog, cells, fill, wrong_cells
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

INTERVALS = (Interval("1m"), Interval("5m"))
Floats = NDArray[np.float64]


def session_data(keep: int = 4, symbols: int = 2) -> SessionData:
    return SessionData("ABCDEFGH"[:symbols], INTERVALS, keep)


def add(data: SessionData, rows: NDArray[np.int64]) -> None:
    """Append rows[k, s] rows to every stream."""
    data.make_room(rows)
    for (k, s), number in np.ndenumerate(rows):
        fill(data.frame, k, s, int(data.count[k, s]), int(data.count[k, s] + number))
    data.count += rows


def add_everywhere(data: SessionData, rows: int) -> None:
    add(data, np.full(data.count.shape, rows, np.int64))


def wrong_columns(data: SessionData) -> list[tuple[str, int, int]]:
    """The columns of the held rows that do not hold what they should, as readers see them."""
    frame = data.frame
    wrong = []
    for k, s in np.ndindex(*data.count.shape):
        rows = np.arange(frame.base[k, s], data.count[k, s])
        for matrix, fields in (
            (frame.ro_floats, FLOAT_FIELDS), (frame.ro_times, TIME_FIELDS), (frame.ro_counts, COUNT_FIELDS),
        ):  # fmt: skip
            for f, field in enumerate(fields):
                if not np.array_equal(matrix[k, f, s, : len(rows)], cells(field, k, s, rows)):
                    wrong.append((field, k, s))
    return wrong


# Rows and their indices.


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6), st.lists(st.tuples(*[st.integers(0, 9)] * 4), max_size=25))
def test_make_room_any_appends_keep_absolute_rows_where_they_were(keep: int, blocks: list[tuple[int, int, int, int]]) -> None:
    data = session_data(keep)
    for block in blocks:
        add(data, np.array(block, np.int64).reshape(2, 2))
        held = data.count - data.frame.base
        assert (data.frame.base >= 0).all()
        assert (held >= np.minimum(data.count, keep)).all()
        assert (held <= data.frame.capacity[:, None]).all()
        assert wrong_columns(data) == []
        assert data.held_bytes() == held.sum() * ROW_BYTES


def test_make_room_that_is_there_moves_nothing() -> None:
    data = session_data(keep=4)
    add_everywhere(data, 10)
    frame = data.frame
    room = frame.capacity - 10
    add(data, np.array([[room[0], 0], [0, room[1]]]))
    data.make_room(np.zeros((2, 2), np.int64))
    assert data.frame is frame
    data.make_room(np.array([[0, 0], [0, 1]]))
    assert data.frame is not frame
    assert wrong_columns(data) == []


def test_make_room_keeps_exactly_what_must_stay() -> None:
    data = session_data(keep=4)
    add(data, np.array([[10, 3], [2, 0]]))
    add(data, np.array([[100, 0], [0, 0]]))
    assert data.frame.base.tolist() == [[6, 0], [0, 0]]
    assert wrong_columns(data) == []


def test_make_room_each_interval_has_the_room_that_it_needs() -> None:
    data = session_data(keep=4)
    add(data, np.array([[500, 20], [3, 1]]))
    one, five = data.frame.capacity.tolist()
    assert one >= 500
    assert 3 <= five <= 10
    assert wrong_columns(data) == []


def test_make_room_memory_stays_bounded_in_a_long_session() -> None:
    data = session_data(keep=20)
    capacities = set()
    for round_ in range(500):
        add_everywhere(data, 7)
        if round_ > 20:
            capacities |= set(data.frame.capacity.tolist())
    assert data.count.tolist() == [[3500] * 2] * 2
    assert len(capacities) == 1
    assert max(capacities) <= 2 * (20 + 7)
    assert 80 < data.compactions < 200
    assert wrong_columns(data) == []


# Nobody but the writer writes.


def views_of(frame: Frame) -> list[NDArray[Any]]:
    return [columns[k] for columns in (frame.ro_floats, frame.ro_times, frame.ro_counts) for k in range(len(INTERVALS))]


def test_readers_view_refuses_every_kind_of_write() -> None:
    data = session_data()
    add_everywhere(data, 5)
    for whole in views_of(data.frame):
        for view in (whole, whole[0, 0], whole[0, 0, 1:3], whole.ravel(), np.asarray(whole)[0], whole.view(np.uint8)):
            assert not view.flags.writeable
            with pytest.raises(ValueError):
                view.setflags(write=True)
            with pytest.raises(ValueError):
                view.flags.writeable = True
            with pytest.raises(ValueError):
                view[...] = 0
            assert memoryview(view).readonly
            with pytest.raises(ValueError):
                np.frombuffer(view.data, np.uint8).setflags(write=True)  # type: ignore[arg-type]
    assert wrong_columns(data) == []


def test_base_of_a_frame_is_read_only() -> None:
    with pytest.raises(ValueError):
        session_data().frame.base[0, 0] = 1


WRITE_ANYHOW = """
import ctypes, sys
sys.path[:0] = {path!r}
from stratd.data.session_data import SessionData
from stratd.model import Interval
data = SessionData("A", (Interval("1m"),), 4)
data.frame.floats[0, 0, 0, 0] = 1.0
view = data.frame.ro_floats[0, 0, 0]
assert view[0] == 1.0
print("before", flush=True)
ctypes.memset(view.ctypes.data, 0, 8)
print("after", flush=True)
"""


def test_write_around_numpy_is_stopped_by_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", WRITE_ANYHOW.format(path=sys.path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "before\n", done.stderr
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


# Old views, while memory is used again.


KINDS: dict[str, Callable[[Floats], Any]] = {
    "column": lambda column: column,
    "slice": lambda column: column[1:],
    "slice of a slice": lambda column: column[1:][::2][1:],
    "reversed": lambda column: column[::-1],
    "asarray": lambda column: np.asarray(column),
    "array without a copy": lambda column: np.array(column, copy=False),
    "other dtype": lambda column: column.view(np.int64),
    "memoryview": lambda column: memoryview(column),
    "memoryview of a slice": lambda column: memoryview(column[1:])[1:],
    "array of a memoryview": lambda column: np.frombuffer(memoryview(column)),  # type: ignore[arg-type]
    "data": lambda column: column[2:].data,
    "sliding windows": lambda column: np.lib.stride_tricks.sliding_window_view(column, 2),
    "strided": lambda column: np.lib.stride_tricks.as_strided(column, (2, 2), (8, 8)),
    "broadcast": lambda column: np.broadcast_to(column, (3, len(column))),
    "two dimensions": lambda column: column.reshape(1, -1).T,
    "iterator": lambda column: column.flat,
    "pointer": lambda column: column.ctypes,
    "dlpack": lambda column: np.from_dlpack(column.copy()) if np.lib.NumpyVersion(np.__version__) < "2.1.0" else np.from_dlpack(column),  # type: ignore[arg-type]
    "scalar array": lambda column: column[2, ...],
    "in a cycle": lambda column: in_a_cycle(column),
}  # fmt: skip


def in_a_cycle(column: Floats) -> list[Any]:
    ring: list[Any] = [column]
    ring.append(ring)
    return ring


def content(kind: str, view: Any) -> list[float]:
    """What a view shows, as a list of its own."""
    if kind == "in a cycle":
        view = view[0]
    if kind == "pointer":
        view = np.ctypeslib.as_array((ctypes.c_double * 3).from_address(view.data))
    shown: list[float] = np.array(view[:] if kind == "iterator" else view, copy=True).ravel().tolist()
    return shown


@pytest.mark.parametrize("kind", KINDS)
def test_old_view_of_any_kind_never_changes_while_memory_is_used_again(kind: str) -> None:
    data = session_data(keep=3)
    add_everywhere(data, 6)
    held: deque[tuple[Any, list[float]]] = deque()
    for round_ in range(60):
        frame = data.frame
        view = KINDS[kind](frame.ro_floats[1, 3, 1, : int(data.count[1, 1] - frame.base[1, 1])])
        held.append((view, content(kind, view)))
        del frame, view
        if round_ % 3:  # let go of some, out of order, so that memory does come back
            held.rotate(5)
            held.popleft()
        add_everywhere(data, 6)
        assert wrong_columns(data) == []
        for old, before in held:
            assert content(kind, old) == before
    assert data.compactions >= 20
    assert len(held) >= 20


def test_memory_that_nobody_sees_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = count()

    class Counted(Memory):
        __slots__ = ()

        def __init__(self, size: int) -> None:
            next(made)
            super().__init__(size)

    monkeypatch.setattr(module, "Memory", Counted)
    data = session_data(keep=3)
    for _ in range(20):
        add_everywhere(data, 6)
    warm = next(made)
    for _ in range(100):
        add_everywhere(data, 6)
    assert data.compactions >= 40
    assert next(made) - warm <= 3


def test_view_brought_back_by_a_finaliser_never_changes() -> None:
    """The garbage collector calls the callbacks of weak references before __del__, which may bring an object back."""
    data = session_data(keep=3)
    add_everywhere(data, 6)
    rescued: list[Any] = []

    class Keeper:
        def __init__(self, view: Floats) -> None:
            self.view = view
            self.memory = memoryview(view)
            self.me = self

        def __del__(self) -> None:
            rescued.append(self)

    for _ in range(5):
        before = len(rescued)
        keeper = Keeper(data.frame.ro_floats[0, 0, 0, :3])
        expected = keeper.view.tolist()
        add_everywhere(data, 6)
        del keeper
        gc.collect()
        assert len(rescued) == before + 1
        for _ in range(4):
            add_everywhere(data, 6)
        assert rescued[-1].view.tolist() == rescued[-1].memory.tolist() == expected


def test_views_dropped_by_other_threads_give_memory_back_safely() -> None:
    data = session_data(keep=3)
    add_everywhere(data, 6)
    boxes: list[SimpleQueue[tuple[Floats, list[float]] | None]] = [SimpleQueue() for _ in range(4)]
    wrong: list[str] = []

    def reader(box: SimpleQueue[tuple[Floats, list[float]] | None]) -> None:
        while (found := box.get()) is not None:
            view, expected = found
            if view.tolist() != expected:
                wrong.append(f"{view} was {expected}")
            del found, view

    threads = [threading.Thread(target=reader, args=(box,), daemon=True) for box in boxes]
    for thread in threads:
        thread.start()
    for round_ in range(400):
        view = data.frame.ro_floats[0, round_ % 5, 1, :3]
        boxes[round_ % 4].put((view, view.tolist()))
        del view
        add_everywhere(data, 6)
    for box, thread in zip(boxes, threads, strict=True):
        box.put(None)
        thread.join(30)
        assert not thread.is_alive()
    assert wrong == []
    assert wrong_columns(data) == []


def test_series_views_across_many_compactions_never_change() -> None:
    raw = RawLog(symbols=2, intervals=("1m", "5m"), keep=12)
    series = raw.series(k=1, s=1, history=10)
    held: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for round_ in range(150):
        add_everywhere(raw.data, 5)
        series.take_frame(raw.data.frame)
        series._hi = int(raw.data.count[1, 1]) - series._base
        assert wrong_cells(series) == []
        column = (series.close, series.open_time, series.flags)[round_ % 3]
        held.append((column[-4:], column[-4:].copy()))
        if len(held) > 20:
            del held[round_ % 20]
        assert all(np.array_equal(view, before) for view, before in held)
    assert raw.data.compactions > 20


# Letting go.


def open_memories() -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += "stratd-session-data" in os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def test_descriptors_do_not_pile_up_and_all_go_in_the_end() -> None:
    gc.collect()
    before = open_memories()
    data = session_data(keep=3)
    for _ in range(100):
        add_everywhere(data, 6)
    one = before + 3  # a frame: the memory's own descriptor, and one of each mapping
    assert open_memories() <= before + 9
    data.trim()
    gc.collect()
    assert open_memories() <= one
    del data
    gc.collect()
    # The last frame's memory waits to be used again in a list that only its own mapping's finaliser held.
    assert open_memories() == before


def test_frame_goes_with_its_last_view() -> None:
    data = session_data(keep=3)
    add_everywhere(data, 6)
    mapping: Any = data.frame.ro_floats.flat
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    there = weakref.ref(mapping.obj if isinstance(mapping, memoryview) else mapping)
    view = data.frame.ro_floats[0, 0, 0]
    del mapping
    add_everywhere(data, 60)  # more than the first memory has room for
    assert there() is not None
    del view
    assert there() is None


def test_trim_gives_pages_back_and_loses_no_row() -> None:
    data = session_data(keep=600)
    for _ in range(40):
        add_everywhere(data, 100)  # so that the memory in use has been used before
    view = data.frame.ro_floats[0, 0, 0, :600]
    before = view.tolist()
    data.trim()
    assert wrong_columns(data) == []
    assert view.tolist() == before
    frame = data.frame
    for (k, s), held in np.ndenumerate(data.count - frame.base):
        # Whole pages behind the rows are zeros again.
        tail = frame.ro_floats[k, 0, s, held + 512 :]
        assert not tail[: len(tail) - 512].any()
    add_everywhere(data, 100)
    assert wrong_columns(data) == []
    assert view.tolist() == before


def test_unused_memory_of_another_size_is_let_go() -> None:
    data = session_data(keep=3)
    for _ in range(20):
        add_everywhere(data, 6)
    assert len(data._unused._unused) > 0
    for _ in range(8):
        add_everywhere(data, 100)
    assert len({memory.size for memory in data._unused._unused}) <= 1
    assert wrong_columns(data) == []
