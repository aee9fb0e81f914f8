"""Handles on indicators in plain Python: computed row by row, when they are read, in the strategy's own thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.data.series import BarSeries
from stratd.data.session_data import Frame
from stratd.indicators.handle import IndicatorHandle
from stratd.indicators.user import PythonIndicator, PythonRun

_SPARE: Final = 4_096  # rows computed between two moves of the columns
_NAN: Final = float("nan")


class PythonColumns:
    """What one PythonIndicator has computed so far, for all of its outputs.

    Every row is given to it once, in order: when a handle is read, and at the latest before the next window.

    Thread safety: belongs to the strategy's thread.
    """

    def __init__(
        self, indicator: PythonIndicator, series: BarSeries, inputs: Sequence[str | IndicatorHandle], history: int
    ) -> None:
        """Args:
        inputs: fields of the series, or handles on the same stream.
        """
        self.run = PythonRun(indicator)
        self._series = series
        self._inputs = tuple(inputs)
        self._history = history
        self._outputs = [np.full(history + _SPARE, np.nan) for _ in indicator.outputs]
        self._first = 0  # absolute row of position 0 of the outputs
        self._done = 0  # absolute row up to which they are computed

    def begin(self, origin: int) -> None:
        """The first row that it is given."""
        self._first = self._done = origin

    def catch_up(self) -> None:
        """Compute the rows up to the cursor."""
        series = self._series
        start, stop = self._done, series.count
        if stop <= start:
            return
        if stop - self._first > len(self._outputs[0]):
            keep = max(self._first, min(start, stop - self._history))
            size = self._history + max(_SPARE, stop - keep)
            moved = [np.full(size, np.nan) for _ in self._outputs]
            for new, old in zip(moved, self._outputs, strict=True):
                new[: start - keep] = old[keep - self._first : start - self._first]
            self._outputs, self._first = moved, keep
        rows = slice(series._hi - (stop - start), series._hi)
        inputs = [getattr(series, f"_{one}")[rows] if isinstance(one, str) else one.newest(stop - start) for one in self._inputs]
        outputs = [column[start - self._first : stop - self._first] for column in self._outputs]
        self._done = stop  # before it runs: a row that ends it in the middle (an interrupt) is not given to it again
        self.run.advance(inputs, outputs, 0, stop - start)

    def newest(self, output: int) -> float:
        """The newest value. What `update` has raised is left for the author's own next read."""
        self.catch_up()
        at = self._series.count - self._first - 1
        return self._outputs[output].item(at) if at >= 0 else _NAN

    def read(self, output: int) -> tuple[NDArray[np.float64], int]:
        """An output's column, and the position behind the newest row.

        Raises:
            Exception: whatever `update` has raised since the last read.
        """
        self.catch_up()
        self.run.raise_pending()
        return self._outputs[output], self._series.count - self._first

    def peek(self, output: int) -> float:
        """The newest value that has been computed, as another thread sees it."""
        column, at = self._outputs[output], self._done - self._first - 1
        return float(column[at]) if 0 <= at < len(column) else _NAN


class PythonHandle(IndicatorHandle):
    """Values of an indicator in plain Python. Reading it raises what its `update` has raised."""

    __slots__ = ("_own", "_released")

    def __init__(
        self, indicator: PythonIndicator, series: BarSeries, history: int, name: str, output: str, own: PythonColumns
    ) -> None:
        super().__init__(indicator, series, history, name, output)
        self._own = own
        self._output = indicator.outputs.index(output)
        self._released = False

    def bind(self, frame: Frame) -> None:
        """See `IndicatorHandle.bind`. Its columns are its own."""

    def disconnect(self) -> None:
        """See `IndicatorHandle.disconnect`."""
        self._released = True

    @property
    def value(self) -> float:
        """The newest value; NaN until `ready`."""
        if self._released:
            return _NAN
        column, stop = self._own.read(self._output)
        return column.item(stop - 1) if stop > 0 else _NAN

    @property
    def values(self) -> NDArray[Any]:
        """The visible values, oldest first, as a copy; NaN during warm-up."""
        if self._released:
            return np.zeros(0)
        column, stop = self._own.read(self._output)
        return column[max(0, stop - self._history) : stop].copy()

    def copy_on_write(self, rows: int | None = None) -> NDArray[Any]:
        """See `IndicatorHandle.copy_on_write`."""
        values = self.values
        if rows is not None and not 0 <= rows <= len(values):
            raise IndexError(f"{self.name} has {len(values)} visible values, {rows} were asked for")
        return values if rows is None else values[len(values) - rows :]

    def peek(self) -> float:
        """See `IndicatorHandle.peek`."""
        return self._own.peek(self._output)

    @property
    def noted(self) -> float:
        """See `IndicatorHandle.noted`."""
        return _NAN if self._released else self._own.newest(self._output)
