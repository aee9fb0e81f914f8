"""nautilus_trader trades the cross of cross_cases.py.

    PYTHONPATH=bench python -P bench/peers/orders_nautilus_trader.py [--as-it-comes]    (-P: this file must not hide the package)

It is given 1m bars, of which it makes 5m bars, and a quote at each 1m open, at which it fills: given bars alone it fills a
market order at once, at the close of the bar at which it was decided. The quote comes 1 ns after the open, when the bar before
it is through. The order is sent at the first quote after the decision: one that is on its way meets the last quote as soon as a
timer goes off.

The money has eight decimals, and the averages are of whole ticks, so that a tie is one. With `--as-it-comes` it is US dollars,
which it rounds to cents, and its own SimpleMovingAverage.
"""

from __future__ import annotations

import sys
from collections import deque
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import DataEngineConfig, LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, CurrencyType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

import cross_cases as cases

MINUTE_NS = 60_000_000_000
VENUE = Venue("SIM")
EXACT = Currency("USX", 8, 0, "US dollars, not rounded to cents", CurrencyType.CRYPTO)


class Mean:
    """A moving average of closes in whole ticks, exact up to its division."""

    def __init__(self, period: int, tick: float) -> None:
        self.closes: deque[int] = deque(maxlen=period)
        self.tick = tick

    @property
    def initialized(self) -> bool:
        return len(self.closes) == self.closes.maxlen

    @property
    def value(self) -> float:
        return sum(self.closes) / len(self.closes)

    def update_raw(self, close: float) -> None:
        self.closes.append(round(close / self.tick))


class Config(StrategyConfig, frozen=True):  # type: ignore[misc,call-arg]
    """What is traded."""

    instrument: Any
    size: str
    five: Any
    tick: float
    currency: Any


class Cross(Strategy):  # type: ignore[misc]
    """Long while the fast average is above the slow one."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        own = config.currency == USD
        self.fast, self.slow = (
            SimpleMovingAverage(period) if own else Mean(period, config.tick) for period in (cases.FAST, cases.SLOW)
        )
        self.before = float("nan")
        self.long = False
        self.bought = 0
        self.decided: Any = None
        self.fills: list[tuple[int, float, float]] = []

    def on_start(self) -> None:
        self.subscribe_bars(self.config.five)
        self.subscribe_quote_ticks(self.config.instrument)

    def on_bar(self, bar: Any) -> None:
        self.fast.update_raw(float(bar.close))
        self.slow.update_raw(float(bar.close))
        if not self.slow.initialized:
            return
        now, before = self.fast.value - self.slow.value, self.before
        self.before = now
        if now > 0 and before <= 0 and not self.long:
            self.bought = cases.units(self.config.size, equity_of(self), float(bar.close))
            self.long, self.decided = True, OrderSide.BUY
        elif now < 0 and before >= 0 and self.long:
            self.long, self.decided = False, OrderSide.SELL

    def on_quote_tick(self, tick: Any) -> None:
        if self.decided is not None:
            order = self.order_factory.market(self.config.instrument, self.decided, Quantity.from_int(self.bought))
            self.decided = None
            self.submit_order(order)

    def on_order_filled(self, event: Any) -> None:
        # 1 ns after the open of the bar.
        self.fills.append((event.ts_event // MINUTE_NS * MINUTE_NS, float(event.last_qty), float(event.last_px)))


def equity_of(strategy: Strategy) -> float:
    """Cash: asked for while nothing is held."""
    return float(strategy.portfolio.account(VENUE).balance_total(strategy.config.currency).as_double())


def play(days: str, symbol: str, size: str, currency: Any) -> cases.Played:
    """One account."""
    tick = cases.DAYS[days].tick
    places = round(-Decimal(str(tick)).log10())
    name = InstrumentId(Symbol(symbol), VENUE)
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            data_engine=DataEngineConfig(time_bars_build_with_no_updates=False),
            # It denies a sale that brings more than the free cash, although the shares are held.
            risk_engine=RiskEngineConfig(bypass=True),
        )
    )
    engine.add_venue(VENUE, OmsType.NETTING, AccountType.CASH, [Money(cases.CAPITAL, currency)], currency, bar_execution=False)
    fee = Decimal(str(cases.FEE_BPS)) / 10_000
    engine.add_instrument(
        Equity(
            name, Symbol(symbol), currency, places, Price.from_str(f"{tick:.{places}f}"), Quantity.from_int(1), 0, 0,
            maker_fee=fee, taker_fee=fee,
        )
    )  # fmt: skip
    one = BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL")
    bars = cases.rows(days, symbol)
    deep = Quantity.from_int(1_000_000)

    def price(value: float) -> Price:
        return Price(value, places)

    quotes = [QuoteTick(name, price(row.open), price(row.open), deep, deep, row.time + 1, row.time + 1) for row in bars]
    closed = [
        Bar(one, *map(price, row[1:5]), Quantity.from_int(round(row.volume)), row.time + MINUTE_NS, row.time + MINUTE_NS)
        for row in bars
    ]
    engine.add_data(quotes)
    engine.add_data(closed)
    five = BarType.from_str(f"{name}-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL")
    strategy = Cross(Config(instrument=name, size=size, five=five, tick=tick, currency=currency))
    engine.add_strategy(strategy)
    engine.run()
    trips = cases.paired(strategy.fills)
    held = trips[-1].quantity if trips and trips[-1].exit_time is None else 0
    equity = equity_of(strategy) + held * bars[-1].close
    engine.dispose()
    return cases.Played(trips, equity)


def main() -> None:
    """Run, and print one JSON line."""
    currency = USD if "--as-it-comes" in sys.argv[1:] else EXACT
    Currency.register(currency)
    versions = {name: version(name) for name in ("nautilus_trader", "pandas", "numpy")}
    cases.told(versions, {cases.key(*case): play(*case, currency) for case in cases.cases()})


if __name__ == "__main__":
    main()
