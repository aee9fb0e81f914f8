"""Indicator: a value for each row of a stream, computed block by block."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.core.names import nearest

Column: TypeAlias = NDArray[np.float64]
State: TypeAlias = NDArray[np.float64]

FIELDS: Final = ("open", "high", "low", "close", "volume")


class Indicator(ABC):
    """A specification: which indicator, with which parameters, of which field. It holds no data.

    Concrete indicators are frozen slots dataclasses, so that equal specifications are equal and hash alike, and
    one computation serves everybody who asks for the same.

    Contract of `advance`: every row of a stream is given exactly once, in order. All that is carried from one call to
    the next is in `state`, and in the `reach` rows before `start`. So any division of the rows into calls
    gives the same bits, and rows may be renumbered between calls (memory is compacted): the state counts rows,
    it never holds an index.

    Thread safety: a specification is immutable. A state belongs to whoever calls `advance` with it.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Rows until the first value: the value of row `warmup - 1` (from 0) is the first that is not NaN."""

    @property
    @abstractmethod
    def fields(self) -> tuple[str, ...]:
        """Names of the columns that `advance` takes, in order; from `open high low close volume`."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Short name for people: `SMA(10)`."""

    @property
    def reach(self) -> int:
        """How many rows before `start` `advance` reads. They must still be there, if the stream ever had them."""
        return 0

    @abstractmethod
    def new_state(self, tick: float | None) -> Any:
        """What is carried from row to row, before the first row.

        Args:
            tick: smallest price step of the instrument, where known. Rolling sums of prices are exact with it.
        """

    @abstractmethod
    def advance(self, columns: tuple[Column, ...], start: int, stop: int, state: Any, out: Column) -> None:
        """Compute the values of rows `start` to `stop - 1`.

        Args:
            columns: one float64[rows] per name in `fields`, C-contiguous, may be read-only. Row numbers are
                positions in these arrays.
            start: first row to compute; follows the last row of the call before.
            stop: one past the last row.
            state: from `new_state`; changed in place.
            out: float64[at least stop - start]; `out[0]` becomes the value of row `start`. NaN before the warm-up.
        """

    def __str__(self) -> str:
        return self.label


def check_period(period: object, at_least: int) -> int:
    """`period` as an int.

    Raises:
        ValueError: it is not a whole number, or is below `at_least`.
    """
    if not isinstance(period, bool):
        try:
            number = operator.index(period)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if number >= at_least:
                return number
    raise ValueError(f"period is a whole number of bars, {at_least} or more, not {period!r}")


def check_source(source: str) -> None:
    """Check the name of a field.

    Raises:
        ValueError: it is none of `FIELDS`.
    """
    if source not in FIELDS:
        near = nearest(source, FIELDS)
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"source is one of {', '.join(FIELDS)}, not {source!r}{hint}")


def label_of(name: str, period: int, source: str, default: str = "close") -> str:
    """`SMA(10)`, or `SMA(10, high)` where the field is not the usual one."""
    return f"{name}({period})" if source == default else f"{name}({period}, {source})"
