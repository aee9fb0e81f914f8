"""The command as a user runs it: real processes, real files, real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import repo_root

SLEEPY = """
import threading
from stratd import Strategy

class Sleepy(Strategy):
    def on_bars(self, symbol, interval):
        threading.Event().wait(0.02)
"""
BUYS = """
from stratd import Side, Strategy

class Buys(Strategy):
    def on_bars(self, symbol, interval):
        self.ctx.signal(symbol, Side.BUY, reason="a bar came")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with two strategies and the shipped bars."""
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "sleepy.py").write_text(SLEEPY)
    (tmp_path / "strategies" / "buys.py").write_text(BUYS)
    data = repo_root() / "session_configs" / "sample_data" / "us_equity_2019-02"
    for symbol in ("SPY", "QQQ"):
        shutil.copy(data / f"{symbol}.csv.gz", tmp_path / f"{symbol}.csv.gz")
    return tmp_path


def session(project: Path, *modules: str) -> Path:
    path = project / "session.json"
    document = {
        "calendar": "XNYS",
        "session_data_config": {"symbols": ["SPY", "QQQ"], "streaming": {"data_upkeep": {"derived_intervals": [5]}}},
        "feed": {"path": "."},
        "strategies": [{"module": f"strategies.{module}"} for module in modules],
    }
    path.write_text(json.dumps(document))
    return path


def stratd(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stratd", *arguments], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_until_playing(process: subprocess.Popen[str]) -> None:
    """Read stderr until the session reports progress."""
    assert process.stderr is not None
    for line in process.stderr:
        if "playing" in line:
            return


def test_sigterm_ends_gracefully_and_says_that_the_run_is_not_whole(project: Path) -> None:
    process = stratd(project, "backtest", str(session(project, "sleepy", "buys")), "--json")
    wait_until_playing(process)
    process.send_signal(signal.SIGTERM)
    code, out, _ = finish(process)
    document = json.loads(out)
    assert code == 1
    assert (document["deterministic"], document["stopped_by"]) == (False, "stopped")
    assert document["strategies"]["buys"]["notifications"] == 780


def test_second_interrupt_ends_at_once_with_130(project: Path) -> None:
    process = stratd(project, "backtest", str(session(project, "sleepy")), "--json")
    wait_until_playing(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("stopping gracefully" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130


def test_killed_run_leaves_nothing_that_hinders_the_next(project: Path) -> None:
    path = session(project, "sleepy", "buys")
    process = stratd(project, "backtest", str(path), "--json")
    wait_until_playing(process)
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    code, out, _ = finish(stratd(project, "backtest", str(session(project, "buys")), "--json"))
    assert (code, json.loads(out)["strategies"]["buys"]["signals"]) == (0, 780)


def test_signals_that_cannot_be_written_are_an_error_that_says_what_to_do(project: Path) -> None:
    (project / "full.csv").symlink_to("/dev/full")
    code, _, err = finish(stratd(project, "backtest", str(session(project, "buys")), "--signals", "full.csv", "--quiet"))
    assert code == 1
    assert "signals cannot be written to full.csv" in err
    assert "Traceback" not in err


def test_signals_to_a_directory_that_is_not_there_are_refused_before_the_run(project: Path) -> None:
    code, out, err = finish(stratd(project, "backtest", str(session(project, "sleepy")), "--signals", "no/such.csv"))
    assert (code, out) == (2, "")
    assert "there is no directory no" in err


def test_session_finds_its_strategies_from_any_directory(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "strategies").mkdir()  # somebody else's
    process = stratd(elsewhere, "backtest", os.path.relpath(session(project, "buys"), elsewhere), "--json")
    code, out, _ = finish(process)
    assert (code, json.loads(out)["strategies"]["buys"]["signals"]) == (0, 780)
