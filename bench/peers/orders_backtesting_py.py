"""backtesting.py trades the cross of cross_cases.py.

    PYTHONPATH=bench python -P bench/peers/orders_backtesting_py.py

It knows one interval: it is given 5m bars, made by pandas. A market order fills at the next of them, at its open, and is stamped
with its time.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import pandas as pd
from backtesting import Backtest, Strategy

import cross_cases as cases

HOW = {"Open": "first", "High": "max", "Low": "min", "Close": "last", "Volume": "sum"}


def mean(values: Any, period: int) -> Any:
    """A moving average."""
    return pd.Series(values).rolling(period).mean()


class Cross(Strategy):  # type: ignore[misc]
    """Long while the fast average is above the slow one."""

    size = "unit"

    def init(self) -> None:
        self.fast = self.I(mean, self.data.Close, cases.FAST)
        self.slow = self.I(mean, self.data.Close, cases.SLOW)

    def next(self) -> None:
        before, now = (self.fast[i] - self.slow[i] for i in (-2, -1))
        if now > 0 and before <= 0 and not self.position:
            self.buy(size=cases.units(self.size, self.equity, self.data.Close[-1]))
        elif now < 0 and before >= 0 and self.position:
            self.position.close()


def play(days: str, symbol: str, size: str) -> cases.Played:
    """One account."""
    bars = cases.rows(days, symbol)
    minutes = pd.DataFrame([row[1:] for row in bars], index=pd.to_datetime([row.time for row in bars]), columns=list(HOW))
    five = minutes.resample("5min").agg(HOW).dropna()
    backtest = Backtest(five, Cross, cash=cases.CAPITAL, commission=cases.FEE_BPS / 1e4)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some trades remain open")
        found = backtest.run(size=size)
    done = [
        cases.Trip(one.Size, one.EntryTime.value, one.EntryPrice, one.ExitTime.value, one.ExitPrice)
        for one in found["_trades"].itertuples()
    ]
    held = [cases.Trip(one.size, one.entry_time.value, one.entry_price, None, None) for one in found["_strategy"].trades]
    return cases.Played([*done, *held], found["Equity Final [$]"])


def main() -> None:
    """Run, and print one JSON line."""
    versions = {name: version(name) for name in ("backtesting", "pandas", "numpy")}
    cases.told(versions, {cases.key(*case): play(*case) for case in cases.cases()})


if __name__ == "__main__":
    main()
