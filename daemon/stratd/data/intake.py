"""What can be wrong with a row, and where rows that are not used are kept."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from stratd.core.clock import utc_text
from stratd.data.block import MALFORMED_TIME, BarBlock
from stratd.errors import SessionError


class Reject(IntEnum):
    """Why a row was not used. The names are what summaries, metrics and the rejects file say."""

    USED = 0
    UNKNOWN_SYMBOL = 1
    MALFORMED_TIME = 2
    MISALIGNED_MINUTE = 3
    FUTURE_TIME = 4
    OUTSIDE_SESSION = 5
    NAN = 6
    NON_POSITIVE_PRICE = 7
    OHLC_CONTRADICTION = 8
    NEGATIVE_VOLUME = 9
    OUT_OF_ORDER = 10
    DUPLICATE_SAME = 11
    DUPLICATE_CONFLICTING = 12

    @property
    def label(self) -> str:
        """The name in summaries and files, `out_of_order`."""
        return self.name.lower()


_REASONS: Final = {
    Reject.UNKNOWN_SYMBOL: "the session does not list this symbol",
    Reject.MALFORMED_TIME: "the time cannot be read",
    Reject.MISALIGNED_MINUTE: "the time is not a whole minute",
    Reject.FUTURE_TIME: "the time lies in the future or beyond the calendar",
    Reject.OUTSIDE_SESSION: "the market is closed then by the symbol's calendar",
    Reject.NAN: "a price or the volume is missing, not a number, or infinite",
    Reject.NON_POSITIVE_PRICE: "a price is zero or negative",
    Reject.OHLC_CONTRADICTION: "open, high, low and close contradict each other",
    Reject.NEGATIVE_VOLUME: "the volume is negative",
    Reject.OUT_OF_ORDER: "a later bar of this symbol, or of the whole feed, came before it",
    Reject.DUPLICATE_SAME: "the same bar came before",
    Reject.DUPLICATE_CONFLICTING: "another bar for the same minute came before; the first one is used",
}

_HEADER: Final = ("source", "line", "symbol", "open_time", "open", "high", "low", "close", "volume", "kind", "reason")


class RejectsFile:
    """Keeps every row that was not used, with its reason, as CSV. Made when the first such row comes; one of an earlier run goes.

    Thread safety: used by the data-processor's thread; `counts` may be read by others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: NDArray[np.int64] = np.zeros(len(Reject), np.int64)
        self._file: TextIO | None = None
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def keep(self, block: BarBlock, codes: NDArray[np.uint8], symbols: Sequence[str], sources: Sequence[str]) -> None:
        """Count and write the rows of `block` whose code is not USED.

        Raises:
            SessionError: the file cannot be written. A run that cannot keep what it rejects must not go on.
        """
        if not codes.any():
            self.counts[Reject.USED] += len(codes)
            return
        self.counts += np.bincount(codes, minlength=len(Reject))
        rows = np.flatnonzero(codes)
        try:
            self._write(rows, block, codes, symbols, sources)
        except OSError as error:
            # The disk is full, or the like. Closing would try to write the rest once more, and fail once more.
            with suppress(OSError):
                self.close()
            raise SessionError(
                f"{self.path}: rows that were not used cannot be kept ({error.strerror or error}); make room there, or name "
                "another directory with --results-dir"
            ) from error

    def _write(
        self,
        rows: NDArray[np.intp],
        block: BarBlock,
        codes: NDArray[np.uint8],
        symbols: Sequence[str],
        sources: Sequence[str],
    ) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", newline="", encoding="utf-8")
            csv.writer(self._file).writerow(_HEADER)
        writer = csv.writer(self._file)
        for i in rows.tolist():
            kind = Reject(int(codes[i]))
            symbol = int(block.symbol[i])
            writer.writerow(
                (
                    sources[block.source[i]],
                    int(block.line[i]),
                    symbols[symbol] if symbol >= 0 else block.unknown.get(i, ""),
                    _iso(int(block.open_time[i])),
                    *(float(column[i]) for column in (block.open, block.high, block.low, block.close, block.volume)),
                    kind.label,
                    _REASONS[kind],
                )
            )
        self._file.flush()

    def rejected(self) -> dict[str, int]:
        """Rows not used, by kind; kinds that did not occur are left out."""
        return {kind.label: int(self.counts[kind]) for kind in Reject if kind and self.counts[kind]}

    @property
    def written(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._file is not None and not self._file.closed:
            self._file.close()


def _iso(time_ns: int) -> str:
    return "" if time_ns == MALFORMED_TIME else utc_text(time_ns)
