"""PositionAggregator: what all strategies hold together, by symbol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import kernel
from stratd.data.event_log import Segment
from stratd.data.session_data import Frame
from stratd.portfolio.cells import P_LOTS, P_MARK, P_SYMBOL
from stratd.portfolio.ledger import worth

_CLOSE = 3  # row of the closes among a frame's floats


@kernel("void(ro i4[:], ro i8[:], i8, i8, ro f8[:,:,:], ro i8[:,:], f8[:])")
def take_closes(stream, row, start, stop, floats, base, closes):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Take the closes of the 1m bars among log entries [start, stop)."""
    symbols = closes.shape[0]
    for i in range(start, stop):
        s = stream[i]
        if s < symbols:
            closes[s] = floats[_CLOSE, s, row[i] - base[0, s]]


@kernel("void(i8[:], i8[:], i8[:], f8[:], ro i8[:,:], ro f8[:,:], i8, i8)")
def take_positions(held, net, gross, closes, positions, position_floats, first, count):  # type: ignore[no-untyped-def]
    """Take over what one account holds: rows [first, first + count) of its positions."""
    for p in range(first, first + count):
        s = positions[p, P_SYMBOL]
        lots = positions[p, P_LOTS]
        net[s] += lots - held[s]
        gross[s] += abs(lots) - abs(held[s])
        held[s] = lots
        if closes[s] != closes[s]:
            closes[s] = position_floats[p, P_MARK]


@kernel("i8(ro i8[:], ro f8[:], ro f8[:])")
def total_worth(lots, lot, closes):  # type: ignore[no-untyped-def]
    """Sum of |value| by symbol at the last closes, in units of money."""
    total = np.int64(0)
    for s in range(lots.shape[0]):
        if lots[s] != 0:
            total += abs(worth(lots[s], lot[s], closes[s]))
    return total


class PositionAggregator:
    """Sums what strategies hold, symbol by symbol, from one fill to the next: only who has filled is looked at.

    Thread safety: belongs to the data-processor. Others read its numbers when the session is over.

    Args:
        lots: float64[symbols], units in one lot.
        members: how many strategies there are.

    Attributes:
        net: int64[symbols], lots, longs less shorts: what the account at the venue holds.
        gross: int64[symbols], lots, longs and shorts.
        held: int64[members, symbols], what each has.
        closes: float64[symbols], last 1m closes; NaN before the first.
        lot: float64[symbols].
    """

    __slots__ = ("_take_closes", "_take_positions", "_worth", "closes", "gross", "held", "lot", "net")

    def __init__(self, lots: Sequence[float], members: int) -> None:
        self.lot: NDArray[np.float64] = np.array(lots, np.float64)
        self.net: NDArray[np.int64] = np.zeros(len(lots), np.int64)
        self.gross: NDArray[np.int64] = np.zeros(len(lots), np.int64)
        self.held: NDArray[np.int64] = np.zeros((members, len(lots)), np.int64)
        self.closes: NDArray[np.float64] = np.full(len(lots), np.nan)
        self._take_closes = take_closes.load()
        self._take_positions = take_positions.load()
        self._worth = total_worth.load()

    def mark(self, segment: Segment, start: int, stop: int, frame: Frame) -> None:
        """Take the closes of the log entries [start, stop) of a segment."""
        self._take_closes(segment.stream, segment.row, start, stop, frame.ro_floats[0], frame.base, self.closes)

    def take(
        self, member: int, positions: NDArray[np.int64], position_floats: NDArray[np.float64], first: int, count: int
    ) -> None:
        """A strategy has filled: take over what it holds.

        Args:
            member: number of the strategy.
            positions, position_floats: its account's tables, of which rows [first, first + count) count. A symbol never leaves them.
        """
        self._take_positions(self.held[member], self.net, self.gross, self.closes, positions, position_floats, first, count)

    @property
    def net_exposure(self) -> int:
        """Sum of |net lots| at the last closes, in units of money."""
        return int(self._worth(self.net, self.lot, self.closes))

    @property
    def gross_exposure(self) -> int:
        """Sum of all longs and shorts at the last closes, in units of money."""
        return int(self._worth(self.gross, self.lot, self.closes))
