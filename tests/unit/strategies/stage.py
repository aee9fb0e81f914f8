"""Shipped strategies on made bars, with an account: short sessions in which much happens."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np

from stratd.data.calendars import table_from_sessions
from stratd.execution.rules import AccountRules
from stratd.model import MINUTE_NS, Fill, Interval
from stratd.portfolio.sizing import EquityFractionSizing, Sizing
from stratd.strategy.base import Strategy
from stratd.strategy.context import StrategyContext
from stratd.strategy.plugin import load_strategy
from stratd.strategy.thread import StrategyThread
from stratd.testing.bars import BarRow
from tests.support.paths import repo_root
from tests.support.spine import Spine, market

SYMBOLS: Final = ("AAA", "BBB", "CCC")
DAY_NS: Final = 1440 * MINUTE_NS
FIRST_OPEN: Final = 1_704_067_200_000_000_000 + 15 * 60 * MINUTE_NS  # 2024-01-01T15:00:00Z
SESSION_MINUTES: Final = 240
SESSIONS: Final = 4

PARAMS: Final[dict[str, dict[str, Any]]] = {
    "simple_ma_cross": {"fast_period": 3, "slow_period": 8, "stop_fraction": 0.002},
    "donchian_breakout": {"interval": "5m", "entry_period": 6, "exit_period": 5, "atr_period": 5, "stop_atr": 1.0},
    "rsi_mean_reversion": {
        "interval": "5m",
        "rsi_period": 2,
        "oversold": 40,
        "recovered": 90,
        "trend_period": 10,
        "max_bars": 8,
        "atr_period": 5,
        "stop_atr": 1.0,
    },
    "opening_range_breakout": {"range_minutes": 20, "target_ranges": 1.0},
    "cross_sectional_momentum": {"interval": "5m", "lookback": 4, "rebalance_bars": 3, "top": 2},
    "ict_smc": {},
    "smart_dca": {
        "workforce": {
            "context_workers": [{"name": "RegimeClassifier", "params": {"window": 20}}],
            "threat_workers": [{"name": "RiskAssessor", "params": {"window": 20}}],
            "planning_workers": [{"name": "DcaPlanner", "params": {"every_minutes": 15}}],
            "execution_workers": [{"name": "DcaExecution", "params": {"limit_entry": True}}],
        }
    },
}
"""By strategy: parameters with which it trades often, and every kind of ending occurs."""

# Orders arrive late and fill in part: what is decided, what works and what is held are three things.
ROUGH: Final = AccountRules(latency_seconds=90.0, participation=0.2, leverage=2.0)
SMOOTH: Final = AccountRules(leverage=2.0)
SIZING: Final = EquityFractionSizing(fraction=0.3)


def kind_of(name: str) -> type[Strategy[Any]]:
    """A shipped strategy, loaded. For the caller to unload."""
    return load_strategy(f"strategies.examples.{name}", root=repo_root(), unique_name=f"stage_{name}")


def walk(seed: int = 7) -> list[BarRow]:
    """1m bars of all symbols and sessions, in feed order: random walks in cents, with some minutes absent."""
    generator = np.random.default_rng(seed)
    shape = (SESSIONS * SESSION_MINUTES, len(SYMBOLS))
    closes = 10_000 + np.cumsum(np.rint(generator.normal(0, 6, shape)).astype(int), axis=0)
    wicks = generator.integers(0, 5, (2, *shape))
    volumes = generator.integers(50, 2_000, shape)
    present = generator.random(shape) > 0.02
    rows = []
    for i in range(shape[0]):
        opened = FIRST_OPEN + (i // SESSION_MINUTES) * DAY_NS + (i % SESSION_MINUTES) * MINUTE_NS
        for s, symbol in enumerate(SYMBOLS):
            if present[i, s]:
                first, last = int(closes[max(0, i - 1), s]), int(closes[i, s])
                high, low = max(first, last) + int(wicks[0, i, s]), min(first, last) - int(wicks[1, i, s])
                rows.append(BarRow(symbol, opened, first / 100, high / 100, low / 100, last / 100, float(volumes[i, s])))
    return rows


def relay(kind: type[Strategy[Any]], changes: Collection[int]) -> type[Strategy[Any]]:
    """A strategy that is played by one instance after the other: at each of `changes` (numbers of callbacks) the next one takes over.

    It has nothing but what the one before it saved, as JSON text.
    """

    class Relay(Strategy[Any]):
        Params = kind.Params

        def setup(self, ctx: StrategyContext) -> None:
            self.waiting = []
            for _ in range(len(changes) + 1):
                actor = kind()
                actor.params, actor.ctx = self.params, ctx
                actor.setup(ctx)
                self.waiting.append(actor)
            self.actor = self.waiting.pop(0)
            self.calls = 0

        def take_turns(self) -> None:
            if self.calls in changes:
                state = self.actor.save_state()
                text = json.dumps(state, allow_nan=False)
                assert json.loads(text) == state, "plain JSON values come back as they were"
                self.actor = self.waiting.pop(0)
                self.actor.restore_state(json.loads(text))
                assert self.actor.save_state() == state
            self.calls += 1

        def on_bars(self, symbol: str, interval: Interval) -> None:
            self.take_turns()
            self.actor.on_bars(symbol, interval)

        def on_slice(self, interval: Interval, close_time: int, missing: tuple[str, ...]) -> None:
            self.take_turns()
            self.actor.on_slice(interval, close_time, missing)

        def on_fill(self, fill: Fill) -> None:
            self.take_turns()
            self.actor.on_fill(fill)

    return Relay


def perform(
    kind: type[Strategy[Any]],
    params: dict[str, Any],
    rows: Sequence[BarRow],
    rules: AccountRules = SMOOTH,
    sizing: Sizing | None = SIZING,
    **trading: Any,
) -> StrategyThread:
    """Play a strategy on an account to the end of the rows."""
    opens = FIRST_OPEN + DAY_NS * np.arange(SESSIONS, dtype=np.int64)
    closes = opens + SESSION_MINUTES * MINUTE_NS
    table = table_from_sessions("TEST", np.stack([opens, opens, closes, closes, closes, closes], axis=1), extended_hours=False)
    offered = market(SYMBOLS, ("1m", "5m"), history=200, tables=(table,), calendar_of=dict.fromkeys(SYMBOLS, 0), tick=0.01)
    spine = Spine(offered, window=64, block=64)
    thread = spine.thread(kind, rules=rules, sizing=sizing, **trading, **params)
    spine.run(rows)
    assert (thread.errors, thread.last_error) == (0, None)
    return thread
