"""OrderCheck: whether a file's rows are in an order that can be merged in constant memory.

A few late rows are normal, and the data-processor rejects them one by one. A file that is sorted in another way is not: it
would be rejected nearly whole, so it is refused with a word on what to do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.data.block import MALFORMED_TIME
from stratd.errors import FeedError
from stratd.feeds.rows import SymbolCodes

LATE_ROWS: Final = 100_000
"""So many rows in a row that are older than one before them are no late rows."""
_GROUP_ROWS: Final = 2


def iso(time_ns: int) -> str:
    """A time as text, for messages."""
    return f"{np.datetime64(time_ns // 1_000_000_000, 's')}Z"


class OrderCheck:
    """Looks at a file's rows in order, batch by batch; what it says does not depend on how they were cut.

    Attributes:
        error: what is wrong; set once.
        failed_at: the row (from 1) that is wrong; None as long as none is.
    """

    def __init__(self, where: str, codes: SymbolCodes, symbol: str | None) -> None:
        self.error: FeedError | None = None
        self.failed_at: int | None = None
        self._where = where
        self._codes = codes
        self._symbol = symbol
        self._rows = 0
        self._latest: int | None = None
        self._late = 0  # rows since the latest one, if all of them are older
        self._one: int | None = None
        self._grouped = symbol is None  # so far, each symbol's rows stand together
        self._groups: set[int] = set()
        self._group: int | None = None
        self._group_late = 0

    def head(self, open_time: NDArray[np.int64]) -> None:
        """Looks at the times of the first rows.

        Raises:
            FeedError: they are in descending order.
        """
        times = open_time[open_time != MALFORMED_TIME]
        steps = times[1:] < times[:-1]
        if np.count_nonzero(steps) >= 2 and not (times[1:] > times[:-1]).any():
            raise FeedError(
                self._where,
                f"is in descending order, newest first: {iso(int(times[0]))} comes before {iso(int(times[-1]))}; "
                "sort it by time, oldest first, and write it again",
            )

    def check(self, own: NDArray[np.int64], symbol: NDArray[np.int32] | None) -> int:
        """Looks at the next rows.

        Args:
            own: int64 ns, no malformed ones.
            symbol: codes of the symbol column, None where the file has none.

        Returns:
            How many of them are good; `error` is set where that is not all of them.
        """
        seen = np.maximum.accumulate(own)
        if self._latest is not None:
            np.maximum(seen, self._latest, out=seen)
        late = own < seen
        some_late = bool(late.any())
        bad = [self._late_run(own, seen, late)] if some_late or self._late else []
        if not some_late:
            self._late = 0
        if symbol is not None:
            bad.append(self._groups_of(symbol, late, some_late) if self._symbol is None else self._single(symbol))
        self._latest = int(seen[-1])
        found = [one for one in bad if one is not None]
        count = len(own)
        if found:
            count, reason = min(found)
            self.failed_at = self._rows + count + 1
            self.error = FeedError(self._where, reason)
        self._rows += len(own)
        return count

    def _late_run(self, own: NDArray[np.int64], seen: NDArray[np.int64], late: NDArray[np.bool_]) -> tuple[int, str] | None:
        at = np.arange(len(own))
        run = at - np.maximum.accumulate(np.where(late, -1 - self._late, at))
        self._late = int(run[-1])
        if not (run >= LATE_ROWS).any():
            return None
        row = int(np.argmax(run >= LATE_ROWS))
        before = self._rows + row + 1 - LATE_ROWS
        reason = (
            f"row {before} has the time {iso(int(seen[row]))}, and the {LATE_ROWS} rows after it are all older; "
            "correct that row if its time is wrong, or sort the file by time if it is several files put together"
        )
        return row, reason

    def _single(self, symbol: NDArray[np.int32]) -> tuple[int, str] | None:
        if self._one is None:
            self._one = int(symbol[0])
        other = symbol != self._one
        if not other.any():
            return None
        row = int(np.argmax(other))
        names = f"{self._codes.text(self._one)!r} and {self._codes.text(int(symbol[row]))!r}"
        reason = (
            f"row {self._rows + row + 1}: its column 'symbol' names {names}, but all its rows are to be {self._symbol!r}; "
            "let the column say whose bars they are (no symbol for this file), or take the column out"
        )
        return row, reason

    def _groups_of(self, symbol: NDArray[np.int32], late: NDArray[np.bool_], some_late: bool) -> tuple[int, str] | None:
        """Symbol after symbol: each one's rows stand together, and a new one's begin in the past of the one before."""
        if not self._grouped:
            return None
        starts = np.concatenate(([0], np.flatnonzero(symbol[1:] != symbol[:-1]) + 1, [len(symbol)]))
        for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            code = int(symbol[start])
            if code != self._group:
                if code in self._groups:
                    self._grouped = False
                    return None
                self._groups.add(code)
                self._group, self._group_late = code, 0
            if some_late and len(self._groups) > 1:
                rows = start + np.flatnonzero(late[start:stop])
                if self._group_late + len(rows) >= _GROUP_ROWS:
                    row = int(rows[_GROUP_ROWS - 1 - self._group_late])
                    reason = (
                        f"row {self._rows + row + 1}: the rows of {self._codes.text(code)!r} go back in time behind those of the "
                        "symbols before: the file holds symbol after symbol; sort it by time, or write one file for each symbol"
                    )
                    return row, reason
                self._group_late += len(rows)
        return None
