"""SystemRiskMonitor: what is watched of the whole book while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import kernel
from stratd.portfolio.aggregator import PositionAggregator
from stratd.portfolio.cells import (
    ACTIVE,
    BAR_NS,
    C_CASH,
    C_CELLS,
    C_LOSSES,
    C_TRADE_COUNT,
    K_CELLS,
    K_CONSECUTIVE,
    K_CONSECUTIVE_STATE,
    K_DAILY,
    K_DAILY_STATE,
    K_DRAWDOWN,
    K_DRAWDOWN_STATE,
    K_EXPOSURE,
    K_EXPOSURE_STATE,
    X_AHEAD,
)
from stratd.portfolio.ledger import worth
from stratd.risk.checks import passed_limit
from stratd.risk.limits import RiskLimits

# Cells of a book.
_RESERVE: Final = 0  # money of the book that no strategy has been given
_EQUITY: Final = 1
_PEAK: Final = 2
_DAY_START: Final = 3  # equity at the start of the day
_DAY: Final = 4  # the day's index among the days' starts
_LOSSES: Final = 5  # losing trades in a row, of all strategies
_STATE: Final = 6
_BEGUN: Final = 7  # whether it has watched a step
_EXPOSURE: Final = 8  # sum of |net values|
_CELLS: Final = 9
_SAVED: Final = {
    "equity": _EQUITY, "peak": _PEAK, "day_start": _DAY_START, "losses": _LOSSES, "state": _STATE, "exposure": _EXPOSURE,
}  # fmt: skip


@kernel("i8(i8[:], ro i8[:,:], i8[:], ro i8[:], ro f8[:], ro f8[:], ro f8[:], ro i8[:], i8)")
def watch(book, table, trades, net, lot, closes, limits, days, time):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Bring the book's numbers to the end of a step, and compare them with its limits.

    Args:
        table: the accounts' cells, in the session's order.
        trades: int64[accounts], how many trades of each have been counted; brought up to date.
        days: when days begin.

    Returns:
        See `passed_limit`.
    """
    equity = book[_RESERVE]
    losses = book[_LOSSES]
    for a in range(table.shape[0]):
        # What has run ahead of its strategy counts as of the strategy.
        at = C_CELLS if table[a, X_AHEAD] != 0 else 0
        equity += table[a, at + C_CASH]
        more = table[a, at + C_TRADE_COUNT] - trades[a]
        if more > 0:
            # Of the account's losses in a row the last `more` are new, or there was a win among them.
            run = table[a, at + C_LOSSES]
            losses = losses + more if run >= more else run
            trades[a] += more
    exposure = np.int64(0)
    for s in range(net.shape[0]):
        if net[s] != 0:
            value = worth(net[s], lot[s], closes[s])
            equity += value
            exposure += abs(value)
    day = book[_DAY] + 1
    if day < days.shape[0] and days[day] <= time - BAR_NS:
        while day < days.shape[0] and days[day] <= time - BAR_NS:
            day += 1
        book[_DAY] = day - 1
        # The day starts with what the last one ended with, as an account's does.
        book[_DAY_START] = book[_EQUITY] if book[_BEGUN] != 0 else equity
    book[_BEGUN] = 1
    book[_EQUITY] = equity
    book[_PEAK] = max(book[_PEAK], equity)
    book[_LOSSES] = losses
    book[_EXPOSURE] = exposure
    return passed_limit(
        book[_STATE], equity, book[_PEAK], book[_DAY_START], losses, exposure, limits[K_DAILY], limits[K_DAILY_STATE],
        limits[K_DRAWDOWN], limits[K_DRAWDOWN_STATE], limits[K_CONSECUTIVE], limits[K_CONSECUTIVE_STATE], limits[K_EXPOSURE],
        limits[K_EXPOSURE_STATE],
    )  # fmt: skip


class SystemRiskMonitor:
    """Watches the running limits of a book at the end of every step: daily loss, drawdown, losing trades in a row, exposure.

    The book's money is what its accounts have in cash, with their net positions at the last 1m closes. Positions of a strategy
    that has ended stay in it. The state only gets stricter; a person resets it.

    Thread safety: belongs to the data-processor. Others read its numbers when the session is over.

    Args:
        table: int64[accounts, CELLS], the accounts' cells, in the session's order of strategies.
        positions: what they hold together.
        capital: of the book, in units of money; `allocated` of it has been given to strategies.
        days: int64 ns UTC, when days begin.
    """

    __slots__ = ("_book", "_days", "_limits", "_positions", "_table", "_trades", "_watch")

    def __init__(
        self,
        limits: RiskLimits,
        table: NDArray[np.int64],
        positions: PositionAggregator,
        capital: int,
        allocated: int,
        days: NDArray[np.int64],
    ) -> None:
        self._limits = np.zeros(K_CELLS)
        limits.fill_cells(self._limits)
        self._table = table
        self._positions = positions
        self._days = days
        self._trades = np.zeros(len(table), np.int64)
        self._book = np.zeros(_CELLS, np.int64)
        self._book[_RESERVE] = capital - allocated
        self._book[[_EQUITY, _PEAK, _DAY_START]] = capital
        self._book[_DAY] = -1
        self._watch = watch.load()

    def watch(self, time: int) -> tuple[int, int] | None:
        """A step is over. Its positions and closes have been taken.

        Args:
            time: close time of the step, ns UTC.

        Returns:
            The stricter state that the book has gone to and which limit it was, as codes (see `stratd.portfolio.cells`); None if
            it stays where it is.
        """
        held = self._positions
        code: int = self._watch(
            self._book, self._table, self._trades, held.net, held.lot, held.closes, self._limits, self._days, time
        )
        if code == 0:
            return None
        self._book[_STATE] = code // 16
        return code // 16, code % 16

    @property
    def begun(self) -> bool:
        """Whether it has watched a step, in this run or in the one that was saved."""
        return bool(self._book[_BEGUN])

    def begin(self, state: int) -> None:
        """Before the first step: take the state that accounts know the book to be in, and count what they have traded until now."""
        self._book[_STATE] = state
        at = np.where(self._table[:, X_AHEAD] != 0, C_CELLS, 0)
        self._trades[:] = self._table[np.arange(len(self._table)), at + C_TRADE_COUNT]

    @property
    def state(self) -> int:
        """Trading state of the book, as a code."""
        return self._book.item(_STATE)

    @property
    def reserve(self) -> int:
        """Money of the book that no strategy has been given, in units; below zero where they have been given more than there is."""
        return self._book.item(_RESERVE)

    @property
    def equity(self) -> int:
        """Money of the book at the last step's closes, in units."""
        return self._book.item(_EQUITY)

    @property
    def exposure(self) -> int:
        """Sum of |net values| at the last step's closes, in units of money."""
        return self._book.item(_EXPOSURE)

    @property
    def peak(self) -> int:
        """Highest money of the book so far, in units."""
        return self._book.item(_PEAK)

    @property
    def trades(self) -> list[int]:
        """How many trades of each strategy have been counted, in the session's order."""
        found: list[int] = self._trades.tolist()
        return found

    def measured(self) -> int:
        """What the book's money comes to now, in units: at the last closes, of the positions that were taken."""
        held = self._positions
        at = np.where(self._table[:, X_AHEAD] != 0, C_CELLS, 0) + C_CASH
        total = self.reserve + int(self._table[np.arange(len(self._table)), at].sum())
        rows = zip(held.net.tolist(), held.lot.tolist(), held.closes.tolist(), strict=True)
        value = worth.load()
        return total + sum(int(value(lots, lot, close)) for lots, lot, close in rows if lots)

    def deposit(self, amount: int) -> None:
        """Money in units was put in, or taken out: neither a gain nor a loss."""
        self._book[[_EQUITY, _PEAK, _DAY_START]] += amount

    def reset(self) -> None:
        """A person lets the book trade again: highest equity and day begin anew from what there is, and no trade was lost."""
        self._book[_STATE] = ACTIVE
        self._book[[_PEAK, _DAY_START]] = self._book[_EQUITY]
        self._book[_LOSSES] = 0

    def save(self) -> dict[str, int]:
        """What a restart needs to go on with the same peak, day and losses. `day` is when the day began, ns UTC; -1 before the first."""
        day = self._book.item(_DAY)
        numbers = {name: self._book.item(cell) for name, cell in _SAVED.items()}
        return {**numbers, "day": self._days.item(day) if day >= 0 else -1}

    def restore(self, saved: Mapping[str, int], trades: Sequence[int | None]) -> None:
        """Go on where `save` was called. What the book may use besides is as the session says now.

        Args:
            trades: of each strategy, how many had been counted; None for all that it has made until now.

        Raises:
            KeyError, TypeError: it was not saved by this class.
        """
        self.begin(saved["state"])
        for name, cell in _SAVED.items():
            self._book[cell] = saved[name]
        self._book[_DAY] = int(np.searchsorted(self._days, saved["day"], side="right")) - 1
        self._book[_BEGUN] = 1
        for number, count in enumerate(trades):
            if count is not None:
                self._trades[number] = count
