"""Scorecard: what an account's figures are made of, folded as it happens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stratd.portfolio.cells import R_B, R_KIND, R_MONEY, TRADE
from stratd.portfolio.equity import EquityFold
from stratd.portfolio.performance import Performance, TradeFold, measure


class Scorecard:
    """Folds records and equity points into performance, in bounded memory.

    Thread safety: used by the account's thread; by others once that has ended.

    Args:
        capital: equity at the start, in units of money.
        days: int64[d] ns UTC, when days begin.

    Attributes:
        first_time: close time of the strategy's first event, ns UTC: the first day that counts. -1 until there is one.
    """

    __slots__ = ("_capital", "_days", "_equity", "_trades", "first_time")

    def __init__(self, capital: int, days: NDArray[np.int64]) -> None:
        self._capital = capital
        self._days = days
        self._equity: EquityFold | None = None
        self._trades: TradeFold | None = None
        self.first_time = -1

    def add_records(self, records: NDArray[np.int64]) -> None:
        """Take in records, int64[n, R_COLUMNS]: the trades among them."""
        trades = records[records[:, R_KIND] == TRADE]
        if len(trades):
            if self._trades is None:
                self._trades = TradeFold()
            self._trades.add(trades[:, R_MONEY] - trades[:, R_B])

    def add_points(self, points: NDArray[np.int64]) -> None:
        """Take in equity points, int64[n, 2]: time in ns UTC, equity in units of money."""
        self._fold(int(points[0, 0])).add(np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1]))

    def performance(
        self, *, last_time: int, equity: int, fees: int, turnover: int, held_steps: int, steps: int, days_per_year: float
    ) -> Performance:
        """The figures, up to `last_time` (the strategy's last event; -1 if it had none), when equity was `equity`."""
        fold = self._fold(last_time)
        if last_time > 0:
            fold.add(np.array([max(last_time, fold.last_time)]), np.array([equity]))
        trades = TradeFold() if self._trades is None else self._trades
        return measure(
            fold, trades, fees=fees, turnover=turnover, held_steps=held_steps, steps=steps, days_per_year=days_per_year
        )

    def _fold(self, time: int) -> EquityFold:
        if self._equity is None:
            first = self.first_time if self.first_time > 0 else time
            # Points are stamped with close times: the one at a day's beginning belongs to the day before.
            at = max(0, int(np.searchsorted(self._days, first, side="left")) - 1)
            self._equity = EquityFold(self._capital, self._days[at:])
        return self._equity
