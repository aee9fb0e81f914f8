"""Performance: how well an account did, in the figures that the field compares by.

Definitions follow empyrical (https://github.com/stefanjansen/empyrical-reloaded, stats.py), which tests compare with, except that

- a figure that is undefined is None, where empyrical gives NaN, infinity, or what rounding has left of a deviation of zero;
- a drawdown is positive, and every recorded point counts: empyrical sees only the last one of each day, which hides what
  happened within it. So the Calmar ratio is never further from zero than empyrical's.

Returns are of days and simple: r = equity / equity of the day before - 1. The risk-free rate and the required return are 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.clock import utc_text
from stratd.model import MONEY
from stratd.portfolio.equity import EquityFold

_DAY_NS: Final = 86_400_000_000_000


class TradeFold:
    """Running sums over round trips, in units of money after fees.

    A trade that ends at exactly zero is neither won nor lost. Thread safety: used by one thread, the account's.
    """

    __slots__ = ("count", "gross_loss", "gross_profit", "largest_loss", "largest_profit", "losses", "wins")

    def __init__(self) -> None:
        self.count = 0
        self.wins = 0
        self.losses = 0
        self.gross_profit = 0
        self.gross_loss = 0  # not below zero
        self.largest_profit = 0
        self.largest_loss = 0  # not below zero

    def add(self, pnl: NDArray[np.int64]) -> None:
        """Take in trades.

        Args:
            pnl: int64[n], realised PnL less fees of each, in units of money.
        """
        if not len(pnl):
            return
        won, lost = pnl[pnl > 0], pnl[pnl < 0]
        self.count += len(pnl)
        self.wins += len(won)
        self.losses += len(lost)
        self.gross_profit += int(won.sum())
        self.gross_loss -= int(lost.sum())
        self.largest_profit = max(self.largest_profit, int(pnl.max()))
        self.largest_loss = max(self.largest_loss, -int(pnl.min()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How well an account did. What is undefined is None. Times are int64 ns UTC, money is in the account's currency.

    Sources are empyrical's functions of the names given.

    Attributes:
        days: n, how many daily returns there are.
        days_per_year: A, what figures are annualised by.
        total_return: last equity / capital - 1 (`cum_returns_final`).
        annual_return: compound growth, (1 + total_return) ** (A / n) - 1 (`annual_return`). None without days, where equity
            ends below zero, and where the number is too large for a float.
        volatility: sample standard deviation (ddof 1) of daily returns x sqrt(A) (`annual_volatility`). None below two days.
        sharpe: mean / sample standard deviation of daily returns x sqrt(A) (`sharpe_ratio`; Sharpe 1994).
            None where the deviation is zero or None.
        sortino: mean of daily returns x A / (sqrt(mean(min(r, 0) ** 2)) x sqrt(A)) over all days (`sortino_ratio`; Sortino
            and Price 1994). None below two days or without a losing one.
        calmar: annual_return / max_drawdown (`calmar_ratio`; Young 1991). None without a drawdown.
        max_drawdown: deepest fall from a peak, as a fraction of it, 0 or above (`max_drawdown`, negative there). None without points.
        drawdown_start_time: the last time at its peak; None where there was no drawdown, like all of the next four.
        drawdown_trough_time: the first time at its lowest.
        drawdown_recovery_time: the first time back at the peak; None also where it has not come back.
        drawdown_days: calendar days from the start to the recovery, or to the last point.
        trades: round trips that have ended.
        win_rate: fraction of trades that made money after fees.
        profit_factor: sum of what winning trades made / sum of what losing ones lost. None without losing ones.
        expectancy: mean PnL of a trade after fees.
        largest_profit, largest_loss: of one trade, both above zero; None without a winning, a losing one.
        exposure: fraction of steps with a position.
        turnover: traded_notional / mean of equity at the days' ends, over the whole span, not a year. None without days, or
            where the mean is not above zero.
        traded_notional: value of all fills, buys and sells.
        fees: commissions paid.

    Figures of returns are None, too, where equity was not above zero at a day's end and the next day has no return.
    """

    days: int
    days_per_year: float
    total_return: float
    annual_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float | None
    drawdown_start_time: int | None
    drawdown_trough_time: int | None
    drawdown_recovery_time: int | None
    drawdown_days: float | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    largest_profit: float | None
    largest_loss: float | None
    exposure: float | None
    turnover: float | None
    traded_notional: float
    fees: float

    def to_dict(self) -> dict[str, float | int | str | None]:
        """Plain JSON values, by field; times as ISO text."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: utc_text(value) if name.endswith("_time") and value is not None else value for name, value in values.items()
        }


def measure(
    equity: EquityFold,
    trades: TradeFold,
    *,
    fees: int,
    turnover: int,
    held_steps: int,
    steps: int,
    days_per_year: float,
) -> Performance:
    """Work out the figures.

    Args:
        equity: of the account, since its first day.
        trades: those that have ended.
        fees: paid so far, in units of money.
        turnover: value of all fills, in units of money.
        held_steps: recorded steps with a position, of `steps`.
        days_per_year: 252 for exchanges, 365 for what trades every day.

    Raises:
        ValueError: days_per_year is not a number above zero.
    """
    if not 0 < days_per_year < math.inf:
        raise ValueError(f"days_per_year is a number above zero, not {days_per_year}")
    daily = equity.daily().tolist()
    returns = _returns(daily)
    mean_equity = sum(daily[1:]) / max(1, len(daily) - 1)
    drawdown = equity.max_drawdown()
    max_drawdown = drawdown.fraction if drawdown else 0.0 if equity.points else None
    annual_return = _annual_return(daily, days_per_year)
    return Performance(
        days=len(daily) - 1,
        days_per_year=days_per_year,
        total_return=(daily[-1] - daily[0]) / daily[0],
        annual_return=annual_return,
        volatility=_volatility(returns, days_per_year),
        sharpe=_sharpe(returns, days_per_year),
        sortino=_sortino(returns, days_per_year),
        calmar=_ratio(annual_return, max_drawdown),
        max_drawdown=max_drawdown,
        drawdown_start_time=drawdown.peak_time if drawdown else None,
        drawdown_trough_time=drawdown.trough_time if drawdown else None,
        drawdown_recovery_time=drawdown.recovery_time if drawdown else None,
        drawdown_days=drawdown.length_ns / _DAY_NS if drawdown else None,
        trades=trades.count,
        win_rate=_ratio(trades.wins, trades.count),
        profit_factor=_ratio(trades.gross_profit, trades.gross_loss),
        expectancy=_ratio(trades.gross_profit - trades.gross_loss, trades.count * MONEY),
        largest_profit=trades.largest_profit / MONEY if trades.wins else None,
        largest_loss=trades.largest_loss / MONEY if trades.losses else None,
        exposure=_ratio(held_steps, steps),
        turnover=_ratio(turnover, mean_equity),
        traded_notional=turnover / MONEY,
        fees=fees / MONEY,
    )


def _returns(daily: Sequence[int]) -> list[float] | None:
    """Daily returns; None where one is undefined. Integers divide to the nearest float, so equal returns are equal here too."""
    if min(daily[:-1], default=1) <= 0:
        return None
    return [(after - before) / before for before, after in pairwise(daily)]


def _annual_return(daily: Sequence[int], days_per_year: float) -> float | None:
    first, last, days = daily[0], daily[-1], len(daily) - 1
    if not days or last < 0:
        return None
    if last == 0:
        return -1.0
    try:
        # (last / first) ** (days_per_year / days) - 1, without losing the digits of a small return.
        return math.expm1(math.log1p((last - first) / first) * days_per_year / days)
    except OverflowError:
        return None


def _deviation(returns: Sequence[float]) -> float:
    """Sample standard deviation; exactly zero for equal numbers, whose mean may differ from them in the last bit."""
    if min(returns) == max(returns):
        return 0.0
    mean = math.fsum(returns) / len(returns)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1))


def _volatility(returns: Sequence[float] | None, days_per_year: float) -> float | None:
    if returns is None or len(returns) < 2:
        return None
    return _deviation(returns) * math.sqrt(days_per_year)


def _sharpe(returns: Sequence[float] | None, days_per_year: float) -> float | None:
    if returns is None or len(returns) < 2:
        return None
    return _ratio(math.fsum(returns) / len(returns) * math.sqrt(days_per_year), _deviation(returns))


def _sortino(returns: Sequence[float] | None, days_per_year: float) -> float | None:
    if returns is None or len(returns) < 2:
        return None
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in returns) / len(returns))
    return _ratio(math.fsum(returns) / len(returns) * math.sqrt(days_per_year), downside)


def _ratio(over: float | None, under: float | None) -> float | None:
    """A quotient; None where a part is, where it is divided by nothing, or where it is too large for a float."""
    if over is None or under is None or not under > 0:
        return None
    quotient = over / under
    return quotient if math.isfinite(quotient) else None
