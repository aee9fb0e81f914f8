"""nautilus_trader on the first bars of W1: 5m and 15m in its engine, SMA(10) / SMA(20) on 5m, no orders.

    PYTHONPATH=bench python -P bench/peers/nautilus_trader.py MINUTES    (-P: this file must not hide the package)

Its best set-up: bars made ahead, no simulated matching of bars (`bar_execution=False`), logging off. The time is that of
`engine.run`.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from time import perf_counter, process_time
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

import peer
import workloads


class Config(StrategyConfig, frozen=True):  # type: ignore[misc,call-arg]
    """The three bar types."""

    one: Any
    five: Any
    fifteen: Any


class Cross(Strategy):  # type: ignore[misc]
    """Counts bars and crosses."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.bars = {5: 0, 15: 0}
        self.cross = peer.Cross()
        self.fast = SimpleMovingAverage(10)
        self.slow = SimpleMovingAverage(20)

    def on_start(self) -> None:
        self.register_indicator_for_bars(self.config.five, self.fast)
        self.register_indicator_for_bars(self.config.five, self.slow)
        for kind in (self.config.five, self.config.fifteen):
            self.subscribe_bars(kind)
        self.subscribe_bars(self.config.one)

    def on_bar(self, bar: Any) -> None:
        kind = bar.bar_type
        if kind == self.five:
            self.bars[5] += 1
            if self.slow.initialized:
                self.cross.add(self.fast.value, self.slow.value)
        elif kind == self.fifteen:
            self.bars[15] += 1


def main() -> None:
    """Run, and print one JSON line."""
    import pandas as pd

    minutes = int(sys.argv[1])
    bars = workloads.w1(minutes)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    instrument = TestInstrumentProvider.equity("W1", "SIM")
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.CASH, [Money(100_000, USD)], USD, Decimal(1), bar_execution=False)
    engine.add_instrument(instrument)
    one = BarType.from_str("W1.SIM-1-MINUTE-LAST-EXTERNAL")
    five, fifteen = (BarType.from_str(f"W1.SIM-{n}-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL") for n in (5, 15))
    # It stamps bars with their close.
    frame = pd.DataFrame(
        {name: bars.columns[name][0] for name in workloads.FIELDS},
        index=pd.to_datetime(bars.open_time + workloads.MINUTE_NS, utc=True),
    )
    engine.add_data(BarDataWrangler(one, instrument).process(frame))
    strategy = Cross(Config(one=one, five=five, fifteen=fifteen))
    strategy.five, strategy.fifteen = BarType.standard(five), BarType.standard(fifteen)
    engine.add_strategy(strategy)
    wall, cpu = perf_counter(), process_time()
    engine.run()
    peer.tell("nautilus_trader", bars, perf_counter() - wall, process_time() - cpu, strategy.bars[5], strategy.cross.signals)


if __name__ == "__main__":
    main()
