"""HistoryFeed: the port through which recorded bars come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stratd.data.block import BarBlock


class HistoryFeed(Protocol):
    """Gives recorded 1-minute bars of many symbols, merged in time order, in blocks, in constant memory.

    Thread safety: used by one thread at a time (the data-processor's).
    """

    @property
    def sources(self) -> Sequence[str]:
        """Names of the files that rows come from, as the user wrote them."""

    def open(self, symbols: Sequence[str]) -> None:
        """Get ready to give the bars of `symbols`, in this order.

        Raises:
            FeedError: a source is missing, empty of columns that are needed, or cannot be read.
        """

    def next_block(self, max_minutes: int, max_rows: int) -> BarBlock | None:
        """The next rows, at most `max_minutes` different minutes and about `max_rows` rows, never cutting a minute.

        Returns:
            None at the end.
        """

    def progress(self) -> float | None:
        """Share of the input that has been given out, 0 to 1; None where unknown."""

    def close(self) -> None:
        """Let go of files. May be called twice."""
