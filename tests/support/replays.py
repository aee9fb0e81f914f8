"""Runs sessions, data-driven, the way a user does, and keeps what the strategies saw."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratd.data.feed import HistoryFeed
from stratd.system.config import SessionConfig
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions, SessionResult

SUPPORT = Path(__file__).parent


@dataclass(frozen=True)
class Played:
    """What came of a session.

    Attributes:
        strategies: the strategies' own objects, by name.
        signals: rows of the signals file.
        rejects: rows of the rejects file.
    """

    result: SessionResult
    strategies: Mapping[str, Any]
    signals: list[dict[str, str]]
    rejects: list[dict[str, str]]

    def seen(self, name: str) -> list[Any]:
        """What a recorder has written down."""
        return list(self.strategies[name].seen)

    def signals_of(self, name: str) -> list[dict[str, str]]:
        return [row for row in self.signals if row["strategy"] == name]


def entry(module: str, class_name: str, name: str, max_errors: int = 10, **config: Any) -> dict[str, Any]:
    """A strategy of tests/support/<module>.py in a session."""
    path = str(SUPPORT / f"{module}.py")
    return {"module": path, "class_name": class_name, "name": name, "max_errors": max_errors, "config": config}


def session(
    symbols: Sequence[str | dict[str, Any]], intervals: Sequence[int | str], strategies: Sequence[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """A session as its file would say it. `history_bars` may be among `more`."""
    history_bars = more.pop("history_bars", 1000)
    return {
        "session_name": "replay",
        "session_data_config": {
            "symbols": list(symbols),
            "history_bars": history_bars,
            "streaming": {"data_upkeep": {"derived_intervals": list(intervals)}},
        },
        "feed": {},
        "strategies": list(strategies),
        **more,
    }


def play(
    config: SessionConfig | Mapping[str, Any], feed: HistoryFeed | None, window: int | None = None, block: int | None = None
) -> Played:
    """Run a session to its end. Without a feed it plays its own files."""
    if not isinstance(config, SessionConfig):
        config = SessionConfig.model_validate(config)
    with tempfile.TemporaryDirectory() as directory:
        signals_path = Path(directory) / "signals.csv"
        options = RunOptions(window=window, block_minutes=block, signals_path=str(signals_path), results_dir=directory)
        manager = SystemManager(config, options, feed=feed)
        result = manager.run()
        assert result.error is None, result.error
        assert manager.session is not None
        strategies = {thread.name: thread.strategy for thread in manager.session.strategies.threads}
        rejects = read_rows(Path(result.rejects_file)) if result.rejects_file is not None else []
        return Played(result, strategies, read_rows(signals_path), rejects)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
