from __future__ import annotations

import json
import logging
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from stratd.system.config import SessionConfig
from stratd.system.result import Progress, RunOptions, SessionResult, StrategyResult

SESSION: dict[str, Any] = {
    "session_name": "tiny",
    "session_data_config": {"symbols": ["A", "B"]},
    "feed": {"path": "."},
    "strategies": [{"module": "strategies.first"}, {"module": "strategies.second"}],
}


def strategy_result(**changes: Any) -> StrategyResult:
    values: dict[str, Any] = {
        "notifications": 124_800, "signals": 312, "errors": 0, "state": "STOPPED", "held_back": 0,
        "on_bars_seconds": {"mean": 5.3e-6, "p99": 2.1e-5, "max": 1.9e-3}, "bottleneck_share": 0.12, "audit_hash": "ab" * 32,
        "orders": 14, "fills": 12, "trades": 5, "final_equity": 101_250.5,
        "metrics": {"total_return": 0.012505, "max_drawdown": 0.0321, "sharpe": 1.234},
    }  # fmt: skip
    return StrategyResult(**(values | changes))


def session_result(**changes: Any) -> SessionResult:
    values: dict[str, Any] = {
        "session": "tiny", "mode": "data-driven", "deterministic": True, "elapsed_seconds": 2.0, "bars_in": 38_912,
        "bars_derived": {"5m": 7800, "15m": 2600}, "rejected": {"duplicate": 3, "out_of_order": 0},
        "audit_hash": "0123456789abcdef" * 4, "strategies": {"first": strategy_result()},
        "rejects_file": "results/tiny/rejects.csv",
    }  # fmt: skip
    return SessionResult(**(values | changes))


class StubManager:
    """Stands where SystemManager does: remembers what it was given, and gives back `result`."""

    made: list[StubManager] = []
    result = session_result()
    during_run: Callable[[StubManager], None] = staticmethod(lambda manager: None)
    session: Any = None

    def __init__(self, config: SessionConfig, options: RunOptions, on_progress: Callable[[Progress], None] | None = None) -> None:
        self.config = config
        self.options = options
        self.on_progress = on_progress
        self.calls: list[str] = []
        StubManager.made.append(self)

    def run(self) -> SessionResult:
        assert self.on_progress is not None
        self.on_progress(Progress(0.4, 1000, 1_381_152_600_000_000_000, 6.0))
        StubManager.during_run(self)
        return StubManager.result

    def stop(self) -> None:
        self.calls.append("stop")

    def abort(self) -> None:
        self.calls.append("abort")


@pytest.fixture
def stub_manager(monkeypatch: pytest.MonkeyPatch) -> type[StubManager]:
    module = types.ModuleType("stratd.system.manager")
    module.SystemManager = StubManager  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stratd.system.manager", module)
    monkeypatch.setattr(StubManager, "made", [])
    monkeypatch.setattr(StubManager, "result", session_result())
    monkeypatch.setattr(StubManager, "session", None)
    return StubManager


@pytest.fixture
def session_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session that is right, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for symbol in ("A", "B"):
        (tmp_path / f"{symbol}.csv.gz").touch()
    (tmp_path / "s.json").write_text(json.dumps(SESSION))
    return Path("s.json")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets up logging for its whole process, which is the tests' here."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.getLogger("stratd").level)
    yield
    root.handlers[:], level, own = before
    root.setLevel(level)
    logging.getLogger("stratd").setLevel(own)
    structlog.reset_defaults()
