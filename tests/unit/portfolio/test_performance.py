from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import empyrical  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stratd.model import MONEY
from stratd.portfolio.equity import EquityFold
from stratd.portfolio.performance import Performance, TradeFold, measure

from ...support.paths import repo_root

DAY = 86_400_000_000_000


def fold_of(daily: Sequence[int], capital: int) -> EquityFold:
    """One point at the end of each day."""
    fold = EquityFold(capital, np.arange(max(1, len(daily)), dtype=np.int64) * DAY)
    fold.add(np.arange(1, len(daily) + 1, dtype=np.int64) * DAY, np.array(daily, np.int64))
    return fold


def measured(fold: EquityFold, trades: TradeFold | None = None, days_per_year: float = 252, **numbers: int) -> Performance:
    given_numbers = {"fees": 0, "turnover": 0, "held_steps": 0, "steps": 0} | numbers
    return measure(fold, trades or TradeFold(), days_per_year=days_per_year, **given_numbers)


def of_money(*amounts: float) -> EquityFold:
    """Days that end with these amounts, the capital first."""
    units = [round(amount * MONEY) for amount in amounts]
    return fold_of(units[1:], units[0])


def trades_of(*pnl: float) -> TradeFold:
    fold = TradeFold()
    fold.add(np.array([round(amount * MONEY) for amount in pnl], np.int64))
    return fold


def empyricals(function: Callable[..., Any], *args: Any, **kwargs: Any) -> float | None:
    """What empyrical says; None for what it calls undefined."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = float(function(*args, **kwargs))
    return value if math.isfinite(value) else None


def assert_equals_empyrical(performance: Performance, returns: np.ndarray[Any, Any], days_per_year: int) -> None:
    for name in ("annual_return", "annual_volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio"):
        ours = getattr(performance, {"annual_volatility": "volatility"}.get(name, name.removesuffix("_ratio")))
        theirs = empyricals(getattr(empyrical, name), returns, annualization=days_per_year)
        assert (ours is None) == (theirs is None), name
        assert ours is None or ours == pytest.approx(theirs, rel=1e-6, abs=1e-9), name
    assert performance.total_return == pytest.approx(empyrical.cum_returns_final(returns), rel=1e-9, abs=1e-12)
    assert performance.max_drawdown == pytest.approx(-empyrical.max_drawdown(returns), rel=1e-9, abs=1e-12)


@given(
    st.lists(st.integers(-2_000, 2_000), min_size=1, max_size=60),
    st.sampled_from([252, 365]),
)
def test_measure_of_one_point_a_day_equals_empyrical(steps: list[int], days_per_year: int) -> None:
    daily = np.cumprod(np.concatenate([[1.0], 1 + np.array(steps) / 10_000])) * 1e5 * MONEY
    units = np.rint(daily).astype(np.int64)
    returns = np.diff(units) / units[:-1]
    # Of rounding's leftovers the two libraries' deviations may say anything; ours is tested for exact zero below.
    assume(len(returns) < 2 or np.std(returns) > 1e-9 or returns.min() == returns.max())
    performance = measured(fold_of(units[1:].tolist(), int(units[0])), days_per_year=days_per_year)
    assert performance.days == len(steps)
    assert_equals_empyrical(performance, returns, days_per_year)


@pytest.mark.parametrize("symbol", ["SPY", "TSLA", "VXXB"])
def test_measure_of_real_minutes_equals_empyrical_by_days_and_pandas_by_minutes(symbol: str) -> None:
    path = repo_root() / "session_configs" / "sample_data" / "us_equity_2019-02" / f"{symbol}.csv.gz"
    bars = pd.read_csv(path)
    close_time = pd.to_datetime(bars.iloc[:, 0], utc=True) + pd.Timedelta("1min")
    equity = (100_000 * MONEY + 200 * MONEY * (bars["close"] - bars["open"].iloc[0])).round().astype("int64")
    days: Any = close_time.dt.floor("D").drop_duplicates()
    nanoseconds: Any = close_time.dt.as_unit("ns").astype("int64").to_numpy(np.int64)
    fold = EquityFold(100_000 * MONEY, days.dt.as_unit("ns").astype("int64").to_numpy(np.int64))
    for part in np.array_split(np.arange(len(bars)), 37):
        fold.add(nanoseconds[part], equity.to_numpy()[part])
    performance = measured(fold)

    daily = np.concatenate([[100_000 * MONEY], equity.groupby(close_time.dt.date).last().to_numpy()])
    returns = np.diff(daily) / daily[:-1]
    assert performance.days == len(returns) == 5
    assert performance.sharpe == pytest.approx(empyrical.sharpe_ratio(returns), rel=1e-9)
    assert performance.sortino == pytest.approx(empyrical.sortino_ratio(returns), rel=1e-9)
    assert performance.volatility == pytest.approx(empyrical.annual_volatility(returns), rel=1e-9)
    assert performance.annual_return == pytest.approx(empyrical.annual_return(returns), rel=1e-9)

    curve = pd.Series(equity.to_numpy(), index=close_time)
    under = 1 - curve / curve.cummax().clip(lower=100_000 * MONEY)
    trough: Any = under.idxmax()
    assert performance.max_drawdown == pytest.approx(under.max(), rel=1e-12)
    assert performance.max_drawdown >= -empyrical.max_drawdown(returns)
    assert performance.calmar == pytest.approx(performance.annual_return / under.max())
    assert performance.drawdown_trough_time == trough.value
    assert performance.drawdown_start_time == under[:trough][under[:trough] <= 0].index[-1].value
    back = under[trough:][under[trough:] <= 0]
    assert performance.drawdown_recovery_time == (back.index[0].value if len(back) else None)


def test_measure_four_days_by_hand() -> None:
    # Returns +10 %, -10 %, 0, +10 %: mean 2.5 %, squares of deviations 56.25 + 156.25 + 6.25 + 56.25 = 275 (in %).
    performance = measured(of_money(1000, 1100, 990, 990, 1089), trades_of(150, -60, 0, 30), steps=8, held_steps=6,
                           fees=12 * MONEY, turnover=4169 * MONEY)  # fmt: skip
    assert performance.total_return == 0.089
    assert performance.annual_return == pytest.approx(1.089**63 - 1)
    deviation = math.sqrt(0.0275 / 3)
    assert performance.volatility == pytest.approx(deviation * math.sqrt(252))
    assert performance.sharpe == pytest.approx(0.025 / deviation * math.sqrt(252))
    assert performance.sortino == pytest.approx(0.025 / math.sqrt(0.01 / 4) * math.sqrt(252))
    assert performance.max_drawdown == pytest.approx(0.1)
    assert performance.calmar == pytest.approx((1.089**63 - 1) / 0.1)
    assert (performance.drawdown_start_time, performance.drawdown_trough_time) == (DAY, 2 * DAY)
    assert (performance.drawdown_recovery_time, performance.drawdown_days) == (None, 3.0)
    assert (performance.trades, performance.win_rate, performance.profit_factor, performance.expectancy) == (4, 0.5, 3.0, 30.0)
    assert (performance.largest_profit, performance.largest_loss) == (150.0, 60.0)
    assert (performance.exposure, performance.fees, performance.traded_notional) == (0.75, 12.0, 4169.0)
    assert performance.turnover == 4169 / (4169 / 4)


def test_measure_days_before_the_first_point_count_as_unchanged() -> None:
    late = EquityFold(1000 * MONEY, np.arange(4, dtype=np.int64) * DAY)
    late.add(np.array([4 * DAY]), np.array([1100 * MONEY]))
    assert measured(late).sharpe == measured(of_money(1000, 1000, 1000, 1000, 1100)).sharpe
    assert measured(late).days == 4


def test_measure_of_nothing_is_undefined() -> None:
    performance = measured(of_money(1000))
    known = {field.name for field in fields(performance) if getattr(performance, field.name) is not None}
    assert known == {"days", "days_per_year", "total_return", "trades", "traded_notional", "fees"}
    assert (performance.days, performance.trades, performance.total_return) == (0, 0, 0.0)


def test_measure_of_one_day_has_returns_and_no_deviation() -> None:
    performance = measured(of_money(1000, 1001))
    assert performance.annual_return == pytest.approx(1.001**252 - 1)
    assert (performance.volatility, performance.sharpe, performance.sortino) == (None, None, None)
    assert (performance.max_drawdown, performance.calmar, performance.drawdown_days) == (0.0, None, None)


@pytest.mark.parametrize("growth", [0, 1, -1])
def test_measure_of_equal_returns_has_no_ratio(growth: int) -> None:
    # 1.01 ** k is no float; in units of money it is a whole number, and so the returns are equal to the last bit.
    daily = [10**12 // 100**k * (100 + growth) ** k for k in range(4)]
    performance = measured(fold_of(daily[1:], daily[0]))
    assert (performance.volatility, performance.sharpe) == (0.0, None)
    assert (performance.sortino is None) == (growth >= 0)


def test_measure_of_trades_without_loss_or_win_has_no_profit_factor() -> None:
    won, lost, even = (measured(of_money(1000), trades) for trades in (trades_of(5), trades_of(-5), trades_of(0)))
    assert (won.win_rate, won.profit_factor, won.expectancy, won.largest_loss) == (1.0, None, 5.0, None)
    assert (lost.win_rate, lost.profit_factor, lost.expectancy, lost.largest_profit) == (0.0, 0.0, -5.0, None)
    assert (even.win_rate, even.profit_factor, even.expectancy) == (0.0, None, 0.0)


@pytest.mark.parametrize(
    ("amounts", "annual", "has_deviation"),
    [((1000, 500, 0), -1.0, True), ((1000, 500, -1), None, True), ((1000, -1, 1000, 1000), 0.0, False), ((1, 1000), None, False)],
)
def test_measure_of_ruin_and_of_what_no_float_holds_is_undefined(
    amounts: tuple[float, ...], annual: float | None, has_deviation: bool
) -> None:
    performance = measured(of_money(*amounts))
    assert performance.annual_return == annual
    assert (performance.volatility is not None) == has_deviation


@given(
    st.integers(1, 2**62), st.lists(st.integers(-(2**62), 2**62), max_size=12), st.lists(st.integers(-(2**50), 2**50), max_size=9)
)
def test_measure_of_anything_is_plain_json_without_inf_or_nan(capital: int, daily: list[int], pnl: list[int]) -> None:
    trades = TradeFold()
    trades.add(np.array(pnl, np.int64))
    told = measured(fold_of(daily, capital), trades, turnover=2**60, steps=5, held_steps=2).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert all(type(value) in (int, float, str, type(None)) for value in told.values())


def test_measure_calmar_that_no_float_holds_is_undefined() -> None:
    fold = EquityFold(10**10, np.array([0]))
    fold.add(np.array([1, 2, 3]), np.array([16 * 10**10, 16 * 10**10 - 1, 16 * 10**10]))
    performance = measured(fold)
    assert performance.annual_return == pytest.approx(16.0**252, rel=1e-12)  # 1e303, to be divided by 6e-12
    assert performance.calmar is None


def test_to_dict_tells_times_as_text() -> None:
    told = measured(of_money(1000, 1100, 990, 1100)).to_dict()
    assert told["drawdown_start_time"] == "1970-01-02T00:00:00Z"
    assert told["drawdown_recovery_time"] == "1970-01-04T00:00:00Z"
    assert told["drawdown_days"] == 2.0
    assert list(told) == [field.name for field in fields(Performance)]


@given(st.lists(st.integers(-100, 100), max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_trade_fold_any_division_into_blocks_equals_plain_sums(pnl: list[int], cuts: list[int]) -> None:
    fold = TradeFold()
    for part in np.split(np.array(pnl, np.int64), sorted(cuts)):
        fold.add(part)
    won, lost = [p for p in pnl if p > 0], [-p for p in pnl if p < 0]
    assert (fold.count, fold.wins, fold.losses) == (len(pnl), len(won), len(lost))
    assert (fold.gross_profit, fold.gross_loss) == (sum(won), sum(lost))
    assert (fold.largest_profit, fold.largest_loss) == (max(won, default=0), max(lost, default=0))


@pytest.mark.parametrize("days_per_year", [0, -252, math.inf, math.nan])
def test_measure_by_no_days_a_year_is_refused(days_per_year: float) -> None:
    with pytest.raises(ValueError, match="days_per_year is a number above zero"):
        measured(of_money(1000, 1001), days_per_year=days_per_year)
