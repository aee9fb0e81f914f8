"""What an account's tables hold: sums beyond one number, and rows beyond those that it began with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stratd.errors import JournalError
from stratd.execution.account_journal import Past, pack_state, unpack_state
from stratd.execution.rules import AccountRules, Commission, Slippage
from stratd.model import MINUTE_NS, Fill, Instrument, Interval
from stratd.portfolio import cells as c
from stratd.risk.limits import RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.context import StrategyContext
from stratd.strategy.thread import StrategyThread
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.spine import Spine, lines, market

START = nanoseconds("2024-01-02T12:00")


class BackAndForth(Strategy[Any]):
    """Buys and sells 900 million's worth at each bar."""

    def setup(self, ctx: StrategyContext) -> None:
        self.bars = 0
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.bars += 1
        self.ctx.order(symbol, "buy" if self.bars % 2 else "sell", 9_000_000)


def test_turnover_is_right_beyond_what_one_number_can_hold() -> None:
    spine = Spine(market(["AAA"], ["1m"]), window=512, block=512)
    thread = spine.thread(BackAndForth, rules=AccountRules(allocated_capital=1e9), limits=RiskLimits(), sizing=None)
    spine.run([BarRow("AAA", START + MINUTE_NS * at, 100.0, 100.0, 100.0, 100.0, 1e9) for at in range(301)])
    performance = thread.account.performance(thread.last_event_ns)
    assert performance.traded_notional == pytest.approx(300 * 9e8)  # int64 in units of 1e-8 ends at 9.2e10


class Holder(Strategy[Any]):
    """Buys one of everything, and leaves an order open for each."""

    def setup(self, ctx: StrategyContext) -> None:
        self.seen: set[str] = set()
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        if symbol not in self.seen:
            self.seen.add(symbol)
            self.ctx.order(symbol, "buy", 1, stop_loss_price=50.0, take_profit_price=200.0)

    def on_fill(self, fill: Fill) -> None:
        pass


class Idle(Strategy[Any]):
    """Only there to be told."""

    def setup(self, ctx: StrategyContext) -> None:
        self.fills = 0
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        pass

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1


class Keeper:
    """In place of a journal: keeps what it is given in memory."""

    durable = True
    held = False

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.points: list[Any] = []
        self.state = b""

    def add_records(self, records: Any) -> None:
        self.records.append(records)

    def add_points(self, points: Any) -> None:
        self.points.append(points)

    def commit(self, time: int, state: bytes) -> None:
        self.state = state

    def hold(self, *_: Any) -> bool:
        return False

    def flush(self) -> None:
        pass


def played(kind: type[Strategy[Any]], names: list[str], rows: list[BarRow], past: Past | None = None) -> StrategyThread:
    instruments = {name: Instrument(name, tick=0.01) for name in names}
    spine = Spine(replace(market(names, ["1m"]), instruments=instruments), window=8, block=8)
    thread = spine.thread(kind, rules=AccountRules(), limits=RiskLimits(), sizing=None)
    thread.account.journal = Keeper()  # type: ignore[assignment]
    if past is not None:
        thread.resume(past, "flatten")
    spine.run(rows)
    assert thread.errors == 0, lines(thread).kept
    return thread


@pytest.mark.parametrize("count", [1, 9, 20, 60])
def test_flatten_after_a_restart_closes_every_position_however_many_there_are(count: int) -> None:
    names = [f"S{at:03}" for at in range(count)]
    rows = [BarRow(name, START + MINUTE_NS * at, 100.0, 100.0, 100.0, 100.0, 1.0) for at in range(6) for name in names]
    before = played(Holder, names, rows[: 3 * count])
    keeper: Any = before.account.journal
    assert len(before.account.final.open_positions) == count
    before.account.commit(before.last_event_ns, {})
    past = Past(records=keeper.records, points=keeper.points, time=before.last_event_ns)
    past.state = keeper.state
    after = played(Idle, names, rows, past)
    assert after.account.final.open_positions == ()
    assert after.account.cells[c.C_ORDERS] == 0
    strategy = after.strategy
    assert isinstance(strategy, Idle)
    assert strategy.fills == count


class LateBuyer(Strategy[Any]):
    """Buys at its 90th bar."""

    def setup(self, ctx: StrategyContext) -> None:
        self.bars = 0
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.bars += 1
        if self.bars == 180:  # of two symbols
            self.ctx.order(symbol, "buy", 1)


@pytest.mark.parametrize("window", [1, 3, 64, 512])
def test_exposure_counts_the_steps_before_the_first_order(window: int) -> None:
    spine = Spine(market(["AAA", "BBB"], ["1m"]), window=window, block=32)
    thread = spine.thread(LateBuyer, rules=AccountRules(), limits=RiskLimits(), sizing=None)
    spine.run([BarRow(name, START + MINUTE_NS * at, 1.0, 1.0, 1.0, 1.0, 1.0) for at in range(100) for name in ("AAA", "BBB")])
    assert thread.account.performance(thread.last_event_ns).exposure == pytest.approx(0.1)


def test_checkpoint_of_another_layout_is_refused_and_says_what_to_do() -> None:
    packed = pack_state({"strategy": {"seen": 3}}, [np.arange(4).reshape(2, 2)])
    values, (table,) = unpack_state(packed)
    assert values == {"strategy": {"seen": 3}}
    assert table.tolist() == [[0, 1], [2, 3]]
    other = packed.replace(f'"layout":{c.LAYOUT}'.encode(), f'"layout":{c.LAYOUT + 1}'.encode())
    assert other != packed
    with pytest.raises(JournalError, match=f"has layout {c.LAYOUT + 1}, and this stratd reads {c.LAYOUT}: end the run"):
        unpack_state(other)


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_costs_that_are_no_costs_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="bps is a number, not below 0"):
        Slippage(bps=value)
    with pytest.raises(ValueError, match="per_share is a number, not below 0"):
        Commission(per_share=value)


def test_commission_below_zero_is_what_the_venue_pays() -> None:
    assert Commission(maker_bps=-1.0).maker_bps == -1.0
    with pytest.raises(ValueError, match="maker_bps is a number, not below -10000"):
        Commission(maker_bps=-10_001.0)
