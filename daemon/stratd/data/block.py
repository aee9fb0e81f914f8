"""BarBlock: what a feed hands to the data-processor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

UNKNOWN_SYMBOL: Final = -1
MALFORMED_TIME: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class BarBlock:
    """Raw 1-minute bars as a feed read them: nothing checked, nothing left out. All arrays have one length.

    Rows are in the order in which they are to be taken in: by time, then by the session's symbol order, and a row
    that is out of order in its source stands right behind the row that it follows there. A block holds
    whole minutes: no later block has a row of one of its minutes (rows out of order excepted).

    Attributes:
        open_time: int64 ns UTC; `MALFORMED_TIME` where the source's text is no time.
        symbol: int32 index into the session's symbols; `UNKNOWN_SYMBOL` for others.
        open, high, low, close, volume: float64; NaN where the source's text is no number.
        source: int32 index into the feed's `sources`.
        line: int64 row number in the source, 1 for the first row of data.
        unknown: the text of unknown symbols, by row.
    """

    open_time: NDArray[np.int64]
    symbol: NDArray[np.int32]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    source: NDArray[np.int32]
    line: NDArray[np.int64]
    unknown: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.open_time)
