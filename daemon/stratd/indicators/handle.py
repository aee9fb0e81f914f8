"""IndicatorHandle: one strategy's view of an indicator, as far as its cursor."""

from __future__ import annotations

from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from stratd.data.series import BarSeries
from stratd.indicators.base import Indicator

_SPARE: Final = 32_768  # values computed between two moves of the column


class IndicatorHandle:
    """Values of an indicator on one stream, up to the strategy's cursor.

    `handle.value` is the newest value as a float, NaN until there are enough bars (`handle.ready`). `handle[-3:]`
    gives the last three as an array, `handle[-2]` the one before the newest. At most the last `history_bars` values are visible.

    The strategy's thread computes a whole window's values in one compiled call before it runs the window; what lies beyond
    the cursor is computed already but not shown.

    Thread safety: belongs to one strategy's thread.
    """

    __slots__ = ("_column", "_done", "_first", "_history", "_series", "_shift", "_state", "_values", "indicator")

    def __init__(self, indicator: Indicator, series: BarSeries, history: int, tick: float | None) -> None:
        self.indicator = indicator
        self._series = series
        self._history = history
        self._state = indicator.new_state(tick)
        self._column: NDArray[np.float64] = np.full(history + _SPARE, np.nan)
        self._first = 0  # absolute row of _column[0]
        self._done = 0  # absolute row up to which values are computed
        self._values: list[float] = [float("nan")]
        self._shift = 0  # _values index of the value at cursor h is h + _shift

    def advance(self, columns: tuple[NDArray[np.float64], ...], base: int, stop: int) -> None:
        """Compute the values of the rows up to `stop` (absolute), given the columns' rows from `base` on."""
        seen = self._series.count
        done = self._done
        column = self._column
        if stop - self._first > len(column):
            keep = max(self._first, min(seen, done) - self._history)
            room = self._history + max(_SPARE, stop - keep)
            moved = np.full(room, np.nan)
            moved[: done - keep] = column[keep - self._first : done - self._first]
            self._column = column = moved
            self._first = keep
        if stop > done:
            out = column[done - self._first : stop - self._first]
            self.indicator.advance(columns, done - base, stop - base, self._state, out)
            self._done = stop
        start = seen - 1
        if start < self._first:
            self._values = [float("nan"), *column[: stop - self._first].tolist()]
            start = self._first - 1
        else:
            self._values = column[start - self._first : stop - self._first].tolist()
        self._shift = base - 1 - start

    @property
    def value(self) -> float:
        """The newest value; NaN until `ready`."""
        return self._values[self._series._hi + self._shift]

    @property
    def ready(self) -> bool:
        """Whether there have been enough bars for a first value."""
        return self._series.count >= self.indicator.warmup

    @property
    def values(self) -> NDArray[np.float64]:
        """The visible values, oldest first, as a read-only view; NaN during warm-up."""
        count = self._series.count
        view = self._column[max(count - self._history, self._first) - self._first : count - self._first]
        view.flags.writeable = False
        return view

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> NDArray[np.float64]: ...
    def __getitem__(self, index: int | slice) -> float | NDArray[np.float64]:
        found = self.values[index]
        return found if isinstance(index, slice) else float(found)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"{self.indicator.label} of {self._series.symbol} {self._series.interval} = {self.value}"
