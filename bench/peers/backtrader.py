"""backtrader on the first bars of W1: 5m and 15m by `resampledata`, SMA(10) / SMA(20) on 5m, no orders.

    PYTHONPATH=bench python -P bench/peers/backtrader.py MINUTES    (-P: this file must not hide the package)

Bars are made ahead, as a pandas frame. The time is that of `cerebro.run`.
"""

from __future__ import annotations

import sys
from time import perf_counter, process_time

import backtrader as bt

import peer
import workloads


class Cross(bt.Strategy):  # type: ignore[misc]
    """Counts bars and crosses."""

    def __init__(self) -> None:
        self.fast = bt.indicators.SimpleMovingAverage(self.datas[1].close, period=10)
        self.slow = bt.indicators.SimpleMovingAverage(self.datas[1].close, period=20)
        self.seen = 0
        self.bars = 0
        self.cross = peer.Cross()

    def prenext(self) -> None:
        self.bars = self.seen = len(self.datas[1])

    def next(self) -> None:
        if len(self.datas[1]) != self.seen:
            self.bars = self.seen = len(self.datas[1])
            self.cross.add(self.fast[0], self.slow[0])


def main() -> None:
    """Run, and print one JSON line."""
    import pandas as pd

    minutes = int(sys.argv[1])
    bars = workloads.w1(minutes)
    # It compresses by the time in each bar, which it takes for the bar's close.
    frame = pd.DataFrame(
        {name: bars.columns[name][0] for name in workloads.FIELDS},
        index=pd.to_datetime(bars.open_time + workloads.MINUTE_NS),
    )
    cerebro = bt.Cerebro(stdstats=False)
    data = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=1)
    cerebro.adddata(data)
    cerebro.resampledata(data, timeframe=bt.TimeFrame.Minutes, compression=5)
    cerebro.resampledata(data, timeframe=bt.TimeFrame.Minutes, compression=15)
    cerebro.addstrategy(Cross)
    wall, cpu = perf_counter(), process_time()
    found = cerebro.run()[0]
    peer.tell("backtrader", bars, perf_counter() - wall, process_time() - cpu, found.bars, found.cross.signals)


if __name__ == "__main__":
    main()
