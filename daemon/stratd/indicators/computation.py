"""Computing an indicator on arrays that are there already: for tests, research and what-if."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stratd.data.calendars import CalendarTable, utc_table
from stratd.data.session_data import SessionData
from stratd.errors import IndicatorError
from stratd.indicators.base import FIELDS, TIMES, Indicator, Source, StreamInfo
from stratd.indicators.engine import ColumnEngine
from stratd.indicators.graph import Planner
from stratd.indicators.node import Node
from stratd.indicators.user import CompiledIndicator, PythonIndicator, PythonRun
from stratd.model import Interval

Bars: TypeAlias = Mapping[str, ArrayLike]
_FIRST_OPEN_NS: Final = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC
SYMBOL: Final = "X"  # of the bars that are computed on


@dataclass(frozen=True, slots=True)
class Saved:
    """What parts carry from row to row, and their columns: the input of other parts.

    Attributes:
        done: rows computed.
        states: float64[cells] of each part, in order.
        columns: float64[done] of each output of each part.
    """

    done: int
    states: list[NDArray[np.float64]]
    columns: list[NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _OnColumns:
    """An indicator in plain Python, the columns that it reads (or where they are computed), and those that it writes."""

    run: PythonRun
    inputs: list[NDArray[np.float64] | tuple[Node, int]]
    outputs: list[NDArray[np.float64]]


class Computation:
    """One indicator on one set of bars, advanced as far as one likes: what the hub does for a session.

    Thread safety: belongs to one thread.

    Attributes:
        rows: how many bars there are; done: how many have been computed.
    """

    def __init__(
        self,
        indicator: Indicator,
        bars: Bars,
        *,
        interval: str = "1m",
        tick: float | None = None,
        calendar: CalendarTable | None = None,
        others: Mapping[str, Bars] | None = None,
        others_after: Mapping[str, Bars] | None = None,
        narrow: bool = False,
    ) -> None:
        """Args:
        indicator: what to compute.
        bars: arrays by field: `open high low close volume`, and `open_time`, `close_time` (int64 ns UTC). Fields that are
            absent are NaN, times follow each other without gaps from 2024-01-01.
        tick: smallest price step.
        calendar: of the instrument; round the clock unless given.
        others: bars of other symbols, for `On`, which stand before this one in the session's order; others_after: behind it.
        narrow: float32 columns.

        Raises:
            IndicatorError: arrays of different lengths, or what the indicator is made from is not there.
        """
        exact = Interval(interval)
        sets = [*(others or {}).items(), (SYMBOL, bars), *(others_after or {}).items()]
        table = calendar if calendar is not None else utc_table()
        self._streams = {symbol: StreamInfo(symbol, exact, 0, number, tick, table) for number, (symbol, _) in enumerate(sets)}
        columns = [_columns(one, exact) for _, one in sets]
        self.rows = len(columns[len(others or {})]["close"])
        self.done = 0
        self._close_times = [one["close_time"] for one in columns]
        self._at = len(others or {})
        data = SessionData(list(self._streams), [exact], max(1, *(len(one["close"]) for one in columns)))
        data.make_room(np.array([[len(one["close"]) for one in columns]]))
        for number, one in enumerate(columns):
            for at, name in enumerate(FIELDS):
                data.frame.floats[0, at, number, : len(one[name])] = one[name]
            for at, name in enumerate(TIMES):
                data.frame.times[0, at, number, : len(one[name])] = one[name]
        self._engine = ColumnEngine(1, len(sets), shared=False)
        self._planner = Planner(self._stream)
        self._narrow = narrow
        self._found: dict[str, tuple[Node, int]] = {}
        self._python: _OnColumns | None = None
        if isinstance(indicator, PythonIndicator):
            inputs = [self._input(columns[self._at], source) for source in indicator.inputs]
            self._python = _OnColumns(PythonRun(indicator), inputs, [np.full(self.rows, np.nan) for _ in indicator.outputs])
        else:
            self._found = self._acquire(indicator)
        self._engine.move(data.frame)
        self._count: NDArray[np.int64] = np.zeros(len(sets), np.int64)
        self._engine.follow(self._count)

    def advance(self, stop: int) -> None:
        """Compute the rows up to `stop`, as one block."""
        if not self.done <= stop <= self.rows:
            raise IndicatorError(f"{stop} is not within the rows that are left, {self.done} to {self.rows}")
        self._count[:] = self._counts(stop)
        self._engine.advance()
        if self._python is not None:
            inputs = [self._engine.column(*one) if isinstance(one, tuple) else one for one in self._python.inputs]
            self._python.run.advance(inputs, self._python.outputs, self.done, stop)
        self.done = stop

    def _acquire(self, indicator: Indicator) -> dict[str, tuple[Node, int]]:
        plan = self._planner.plan(indicator, self._streams[SYMBOL])
        return self._engine.acquire(plan, lambda stream: 0, narrow=self._narrow).outputs

    def _input(self, columns: Mapping[str, NDArray[Any]], source: Source) -> NDArray[np.float64] | tuple[Node, int]:
        """A field's column, or where an indicator's will be."""
        if isinstance(source, str):
            return columns[source]
        return self._acquire(source)[source.outputs[0]]

    def _counts(self, stop: int) -> NDArray[np.int64]:
        """Rows of each symbol that are there when the bars of this one end at `stop`."""
        count = np.zeros(len(self._close_times), np.int64)
        if stop:
            now = self._close_times[self._at][stop - 1]
            count[:] = [np.searchsorted(times, now, side="right") for times in self._close_times]
        count[self._at] = stop
        return count

    @property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """What has been computed so far, by output: float64[done].

        Raises:
            Exception: what a Python indicator has raised since they were last read.
        """
        if self._python is not None:
            run = self._python.run
            run.raise_pending()
            names = run.indicator.outputs
            return {name: column[: self.done].copy() for name, column in zip(names, self._python.outputs, strict=True)}
        return {name: self._engine.column(node, at)[: self.done].copy() for name, (node, at) in self._found.items()}

    @property
    def failed(self) -> dict[str, int]:
        """Users' compiled functions that have raised, by label, and the row (from 1) at which each did. Their values are NaN since."""
        parts = ((node.part.spec, node.state) for node in self._nodes())
        return {
            spec.label: spec.failed_row(state)
            for spec, state in parts
            if isinstance(spec, CompiledIndicator) and spec.failed(state)
        }

    def save(self) -> Saved:
        """Everything that is needed to go on from here in another computation of the same indicator.

        Raises:
            IndicatorError: it is in plain Python, which keeps what it likes.
        """
        if self._python is not None:
            raise IndicatorError(f"{self._python.run.indicator.label} is in plain Python: what it carries cannot be saved")
        columns = [self._engine.column(node, at)[: self.done].copy() for node in self._nodes() for at in range(node.columns)]
        return Saved(self.done, [node.state.copy() for node in self._nodes()], columns)

    def restore(self, saved: Saved) -> None:
        """Go on from what another computation of the same indicator has saved."""
        columns = iter(saved.columns)
        for node, state in zip(self._nodes(), saved.states, strict=True):
            node.state[:] = state
            for at in range(node.columns):
                self._engine.written(node, at)[: saved.done] = next(columns)
        self._engine.done[:] = self._counts(saved.done)
        self.done = saved.done

    def _nodes(self) -> list[Node]:
        return sorted(self._engine.nodes.values(), key=lambda node: node.entry)

    def _stream(self, symbol: str, interval: str) -> StreamInfo:
        found = self._streams.get(symbol)
        if found is None or str(found.interval) != str(Interval(interval)):
            raise IndicatorError(f"there are no bars of {symbol} {interval}: give them as others={{{symbol!r}: ...}}")
        return found


def compute(
    indicator: Indicator, bars: Bars | Mapping[str, Any], *, blocks: Iterable[int] = (), **options: Any
) -> dict[str, NDArray[np.float64]]:
    """All values of an indicator on arrays, by output.

    Args:
        indicator, bars, options: see `Computation`.
        blocks: rows at which a block ends; the bits are the same for any.

    Raises:
        IndicatorError: as for `Computation`, or a user's compiled function has raised.
        Exception: what a Python indicator has raised.
    """
    computation = Computation(indicator, bars, **options)
    for stop in (*blocks, computation.rows):
        computation.advance(stop)
    for label, row in computation.failed.items():
        raise IndicatorError(
            f"{label} raised an exception at row {row} (from 1); call its plain function with that row to see which"
        )
    return computation.values


def _columns(bars: Bars, interval: Interval) -> dict[str, NDArray[Any]]:
    unknown = set(bars) - set(FIELDS) - set(TIMES)
    if unknown:
        raise IndicatorError(f"bars have {', '.join((*FIELDS, *TIMES))}, not {', '.join(sorted(unknown))}")
    found: dict[str, NDArray[Any]] = {name: np.asarray(bars[name], np.float64) for name in FIELDS if name in bars}
    found |= {name: np.asarray(bars[name], np.int64) for name in TIMES if name in bars}
    lengths = {len(column) for column in found.values()}
    if len(lengths) != 1:
        raise IndicatorError(f"bars need columns of one length, these have {sorted(lengths)}")
    rows = lengths.pop()
    step = interval.duration_ns
    if "open_time" not in found:
        found["open_time"] = (
            found["close_time"] - step if "close_time" in found else _FIRST_OPEN_NS + step * np.arange(rows, dtype=np.int64)
        )
    found.setdefault("close_time", found["open_time"] + step)
    for name in FIELDS:
        found.setdefault(name, np.full(rows, np.nan))
    return found
