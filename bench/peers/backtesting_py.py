"""backtesting.py on the bars of W1: SMA(10) / SMA(20) on 5m, no orders.

    PYTHONPATH=bench python -P bench/peers/backtesting_py.py MINUTES

It knows one interval: it is given 5m bars ready made (by pandas, not timed), and its speed is stated in the 1m bars
they were made of. The averages are computed ahead, as it recommends. The time is that of `Backtest.run`.
"""

from __future__ import annotations

import sys
from time import perf_counter, process_time
from typing import Any

from backtesting import Backtest, Strategy

import peer
import workloads

HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
CROSS = peer.Cross()


def mean(values: Any, period: int) -> Any:
    """A moving average."""
    import pandas as pd

    return pd.Series(values).rolling(period).mean()


class Cross(Strategy):  # type: ignore[misc]
    """Counts crosses."""

    def init(self) -> None:
        self.fast = self.I(mean, self.data.Close, 10)
        self.slow = self.I(mean, self.data.Close, 20)

    def next(self) -> None:
        CROSS.add(self.fast[-1], self.slow[-1])


def main() -> None:
    """Run, and print one JSON line."""
    import pandas as pd

    minutes = int(sys.argv[1])
    bars = workloads.w1(minutes)
    frame = pd.DataFrame({name: bars.columns[name][0] for name in workloads.FIELDS}, index=pd.to_datetime(bars.open_time))
    five = frame.resample("5min").agg(HOW).rename(columns=str.capitalize)
    backtest = Backtest(five, Cross, cash=100_000)
    wall, cpu = perf_counter(), process_time()
    backtest.run()
    peer.tell("backtesting.py", bars, perf_counter() - wall, process_time() - cpu, len(five), CROSS.signals)


if __name__ == "__main__":
    main()
