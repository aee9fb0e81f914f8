"""Handles: one strategy's view of an indicator, as far as its cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from stratd.data.series import BarSeries
from stratd.data.session_data import Frame
from stratd.errors import IndicatorError
from stratd.indicators.base import Indicator, StreamInfo
from stratd.indicators.engine import ColumnEngine
from stratd.indicators.graph import Plan
from stratd.indicators.node import Node, Use
from stratd.indicators.store import ColumnStore

_NAN: Final = float("nan")
_ALWAYS: Final = 2**62
_NONE: Final[NDArray[np.float64]] = np.zeros(0)


class Columns(Protocol):
    """Where a handle's column comes from: the hub, or a strategy's own engine."""

    def where(self, node: Node, frame: Frame) -> tuple[ColumnStore | None, int]:
        """See `IndicatorHub.where`."""

    def read_lazy(self, node: Node) -> None:
        """See `IndicatorHub.read_lazy`."""

    def release(self, use: Use) -> None:
        """See `IndicatorHub.release`."""


class OwnColumns:
    """A strategy's own engine, as a source of columns. It is always in the frame that its strategy reads."""

    def __init__(self, engine: ColumnEngine) -> None:
        self._engine = engine

    def where(self, node: Node, frame: Frame) -> tuple[ColumnStore | None, int]:
        """See `IndicatorHub.where`."""
        return self._engine.store, 0

    def read_lazy(self, node: Node) -> None:
        """See `IndicatorHub.read_lazy`."""
        self._engine.read_lazy(node)

    def request(self, plan: Plan, origin_of: Callable[[StreamInfo], int], *, lazy: bool = False, narrow: bool = False) -> Use:
        """See `IndicatorHub.request`."""
        return self._engine.acquire(plan, origin_of, lazy=lazy, narrow=narrow)

    def release(self, use: Use) -> None:
        """See `IndicatorHub.release`."""
        self._engine.release(use)


class IndicatorHandle:
    """Values of an indicator on one stream, up to the strategy's cursor.

    `handle.value` is the newest value as a float, NaN until there are enough bars (`handle.ready`). `handle[-3:]`
    gives the last three as an array, `handle[-2]` the one before the newest. At most the last `history_bars` values are visible.
    On a stream of a longer interval than the event's, the newest value is that of its last closed bar.

    Thread safety: belongs to one strategy's thread. The column is written by others, ahead of the cursor only.

    Attributes:
        indicator: what it shows.
        name: what the author called it; its label unless given.
        output: which of the indicator's outputs it shows.
    """

    __slots__ = (
        "_column",
        "_columns",
        "_history",
        "_node",
        "_output",
        "_series",
        "_shift",
        "_store",
        "_view",
        "indicator",
        "name",
        "output",
    )

    def __init__(self, indicator: Indicator, series: BarSeries, history: int, name: str, output: str = "value") -> None:
        self.indicator = indicator
        self.name = name
        self.output = output
        self._series = series
        self._history = history
        self._column: NDArray[Any] = _NONE
        self._view: Any = _NONE.data
        self._shift = -(2**62)  # position of the newest value in the column is the cursor + shift; none below 0
        self._store: ColumnStore | None = None
        self._columns: Columns | None = None
        self._node: Node | None = None
        self._output = 0

    def connect(self, columns: Columns, node: Node, output: int) -> None:
        """Show this column from now on, after the next `bind`."""
        self._columns, self._node, self._output = columns, node, output

    def bind(self, frame: Frame) -> None:
        """The strategy reads from `frame` from now on."""
        if self._columns is None or self._node is None:
            return
        store, earlier = self._columns.where(self._node, frame)
        slots = None if store is None else store.slots.get(self._node)
        if store is None or slots is None:
            return  # there are no rows yet, or the strategy has been given up
        column = store.read(self._node.kind, self._node.stream.interval_index, slots[self._output])
        self._store, self._column, self._view, self._shift = store, column, column.data, -1 - earlier

    def disconnect(self) -> None:
        """It was released: it shows nothing any more. Arrays that were taken from it stay as they are."""
        self._columns = self._node = self._store = None
        self._column, self._view, self._shift = _NONE, _NONE.data, -(2**62)

    @property
    def value(self) -> float:
        """The newest value; NaN until `ready`."""
        at = self._series._hi + self._shift
        return self._view[at] if at >= 0 else _NAN

    def peek(self) -> float:
        """The newest value as another thread sees it: perhaps of a bar ago; a lazy one's that was read last."""
        at, view = self._series._hi + self._shift, self._view
        return float(view[at]) if 0 <= at < len(view) else _NAN

    @property
    def noted(self) -> float:
        """The newest value for those who only note it: it raises nothing."""
        return self.value

    @property
    def ready(self) -> bool:
        """Whether the newest value is a number: there have been enough bars, and it is defined."""
        value = self.value
        return value == value

    @property
    def values(self) -> NDArray[Any]:
        """The visible values, oldest first, as a read-only view; NaN during warm-up."""
        stop = self._series._hi + self._shift + 1
        if stop <= 0:
            return _NONE
        return self._column[max(0, stop - self._history) : stop]

    def newest(self, rows: int) -> NDArray[Any]:
        """The newest `rows` values, whether a strategy can look back so far or not. For those who compute from them."""
        stop = self._series._hi + self._shift + 1
        return self._column[stop - rows : stop] if stop >= rows else np.full(rows, np.nan)

    def copy_on_write(self, rows: int | None = None) -> NDArray[Any]:
        """The newest values, all visible ones or so many, to be altered. Nobody else sees what is altered.

        Only the pages that are written are copied (4 KiB). See `BarSeries.copy_on_write`.

        Raises:
            IndexError: there are fewer values so far, or so many cannot be seen.
        """
        shown = len(self)
        if rows is not None and not 0 <= rows <= shown:
            raise IndexError(f"{self.name} has {shown} visible values, {rows} were asked for")
        node, store, stop = self._node, self._store, self._series._hi + self._shift + 1
        slots = None if store is None else store.slots.get(node)
        if node is None or store is None or slots is None or not shown:
            return self.values.copy()
        window = slice(stop - (shown if rows is None else rows), stop)
        return store.copy_on_write(node.kind, node.stream.interval_index, slots[self._output], window)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> NDArray[Any]: ...
    def __getitem__(self, index: int | slice) -> float | NDArray[Any]:
        found = self.values[index]
        return found if isinstance(index, slice) else float(found)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values.tolist())

    @property
    def symbol(self) -> str:
        """Of the stream."""
        return self._series.symbol

    @property
    def interval(self) -> str:
        """Of the stream."""
        return str(self._series.interval)

    def __repr__(self) -> str:
        return f"{self.name} of {self._series.symbol} {self._series.interval} = {self.value}"


class LazyHandle(IndicatorHandle):
    """A handle whose column is computed when it is read, for all rows that are there, by whoever reads it first."""

    __slots__ = ("_frame", "_known")

    def __init__(self, indicator: Indicator, series: BarSeries, history: int, name: str, output: str = "value") -> None:
        super().__init__(indicator, series, history, name, output)
        self._known = 0  # absolute row up to which the column is known to be there
        self._frame: Frame | None = None

    def bind(self, frame: Frame) -> None:
        """See `IndicatorHandle.bind`. The column is looked for when it is read."""
        self._frame = frame
        self._known = 0

    def _fetch(self) -> None:
        node, columns, frame = self._node, self._columns, self._frame
        if self._known < self._series.count and node is not None and columns is not None and frame is not None:
            columns.read_lazy(node)
            super().bind(frame)
            # One that somebody else needs anyway is computed with every block, and stays where it is until the next frame.
            self._known = node.done if node.lazy else _ALWAYS

    @property
    def value(self) -> float:
        """The newest value; NaN until `ready`."""
        self._fetch()
        at = self._series._hi + self._shift
        return self._view[at] if at >= 0 else _NAN

    @property
    def values(self) -> NDArray[Any]:
        """The visible values, oldest first, as a read-only view; NaN during warm-up."""
        self._fetch()
        stop = self._series._hi + self._shift + 1
        return self._column[max(0, stop - self._history) : stop] if stop > 0 else _NONE


class HandleGroup:
    """The outputs of an indicator that has several: `macd.signal.value`, `bands.upper[-3:]`. Each is a handle.

    What is asked of the group itself (`value`, `values`, `[-1]`) is its first output's; it is `ready` when all are.
    """

    def __init__(self, indicator: Indicator, name: str, handles: dict[str, IndicatorHandle]) -> None:
        self.indicator = indicator
        self.name = name
        self.outputs = handles
        self._first = next(iter(handles.values()))
        for output, handle in handles.items():
            if hasattr(type(self), output) or output in self.__dict__:
                raise IndicatorError(
                    f"{indicator.label}: an output of several cannot be named {output!r}, which its handle needs"
                )
            setattr(self, output, handle)

    def __getattr__(self, name: str) -> IndicatorHandle:
        raise AttributeError(f"{self.indicator.label} has the outputs {', '.join(self.outputs)}, not {name!r}")

    @property
    def ready(self) -> bool:
        """Whether every output's newest value is a number."""
        return all(handle.ready for handle in self.outputs.values())

    @property
    def value(self) -> float:
        """The newest value of the first output."""
        return self._first.value

    @property
    def values(self) -> NDArray[Any]:
        """The visible values of the first output."""
        return self._first.values

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> NDArray[Any]: ...
    def __getitem__(self, index: int | slice) -> float | NDArray[Any]:
        return self._first[index]

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"{self.name}: {', '.join(f'{output} {handle.value}' for output, handle in self.outputs.items())}"
