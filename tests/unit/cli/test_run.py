from __future__ import annotations

import json
import logging
import os
import signal
import types
from pathlib import Path

import pytest
import structlog

from stratd.cli.main import main
from stratd.system.result import Progress, RunOptions
from tests.unit.cli.conftest import SESSION, StubManager, session_result, strategy_result

Capture = pytest.CaptureFixture[str]


def test_backtest_hands_its_options_to_the_system(session_file: Path, stub_manager: type[StubManager]) -> None:
    argv = [
        "backtest",
        "s.json",
        "--window",
        "64",
        "--block",
        "128",
        "--signals",
        "out.parquet",
        "--metrics-port",
        "9100",
        "--results-dir",
        "r",
    ]
    assert main(argv) == 0
    (manager,) = stub_manager.made
    assert manager.config.session_name == "tiny"
    expected = RunOptions(window=64, block_minutes=128, signals_path="out.parquet", metrics_port=9100, results_dir="r")
    assert manager.options == expected


@pytest.mark.parametrize(("verb", "code"), [("backtest", 0), ("run", 78)])
def test_backtest_of_a_session_with_a_clock_is_data_driven(
    session_file: Path, stub_manager: type[StubManager], verb: str, code: int, capsys: Capture
) -> None:
    session_file.write_text(json.dumps(SESSION | {"speed_multiplier": 60}))
    assert main([verb, "s.json"]) == code
    assert ("data-driven only" in capsys.readouterr().err) == (verb == "run")


def test_backtest_with_json_prints_one_document_and_nothing_else(
    session_file: Path, stub_manager: type[StubManager], capsys: Capture
) -> None:
    nan = strategy_result(on_bars_seconds={"mean": float("nan"), "p99": 0.0, "max": 0.0})
    stub_manager.result = session_result(strategies={"first": nan}, error="it broke", deterministic=False)
    assert main(["backtest", "s.json", "--json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    expected = stub_manager.result.to_dict()
    expected["strategies"]["first"]["on_bars_seconds"]["mean"] = None
    expected |= {"notes": list(expected["notes"]), "restart_plan": []}
    assert document == expected
    assert err == "playing   40%  2013-10-07 13:30Z  1,000 bars  6s\nerror: it broke\n"


def test_backtest_prints_a_summary_and_shows_progress_beside_it(
    session_file: Path, stub_manager: type[StubManager], capsys: Capture
) -> None:
    assert main(["backtest", "s.json"]) == 0
    out, err = capsys.readouterr()
    assert "bars in   38,912" in out
    assert "playing" not in out
    assert err.startswith("playing   40%")


def test_backtest_with_quiet_says_nothing(session_file: Path, stub_manager: type[StubManager], capsys: Capture) -> None:
    assert main(["backtest", "s.json", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_backtest_that_is_not_deterministic_ends_with_1(session_file: Path, stub_manager: type[StubManager]) -> None:
    stub_manager.result = session_result(deterministic=False)
    assert main(["backtest", "s.json", "--quiet"]) == 1


def test_run_stopped_by_a_signal_stops_gracefully(session_file: Path, stub_manager: type[StubManager], capsys: Capture) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stub_manager.during_run = staticmethod(lambda manager: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["run", "s.json", "--quiet"]) == 0
    assert stub_manager.made[0].calls == ["stop"]
    assert capsys.readouterr().err == "SIGTERM: stopping gracefully; a second Ctrl-C ends at once\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_stopped_twice_aborts_and_ends_with_130(session_file: Path, stub_manager: type[StubManager], capsys: Capture) -> None:
    def interrupt_twice(manager: StubManager) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    stub_manager.during_run = staticmethod(interrupt_twice)
    assert main(["run", "s.json", "--quiet"]) == 130
    assert stub_manager.made[0].calls == ["stop", "abort"]
    assert capsys.readouterr().err == "Ctrl-C: stopping gracefully; a second Ctrl-C ends at once\nending at once\n"


@pytest.mark.parametrize(("level", "expected"), [("info", ["from us", "from structlog"]), ("error", [])])
def test_log_lines_from_the_level_on_go_to_stderr_as_json(
    session_file: Path, stub_manager: type[StubManager], level: str, expected: list[str], capsys: Capture
) -> None:
    def talk(manager: StubManager) -> None:
        logging.getLogger("stratd.somewhere").info("from us")
        logging.getLogger("library").info("from a library")
        structlog.get_logger("stratd.strategy").bind(strategy="first").info("from structlog")

    stub_manager.during_run = staticmethod(talk)
    assert main(["backtest", "s.json", "--json", "--log-level", level]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == expected
    for line in lines:
        assert (line["level"], line["timestamp"][-1]) == ("info", "Z")
    if lines:
        assert lines[1]["strategy"] == "first"


class StubSession:
    """As far as a run's plan is asked for."""

    def __init__(self, plan: list[str]) -> None:
        self.journal = types.SimpleNamespace(plan=plan, journal=types.SimpleNamespace(path=Path("results/tiny/journal.sqlite3")))


def report_twice(manager: StubManager) -> None:
    """As a session's waiting loop does."""
    assert manager.on_progress is not None
    manager.session = StubSession(["first goes on after 12:00"])
    for _ in range(2):
        manager.on_progress(Progress(0.5, 1000, 1_381_152_600_000_000_000, 7.0))


def test_run_that_goes_on_says_so_once_at_its_start(session_file: Path, stub_manager: type[StubManager], capsys: Capture) -> None:
    stub_manager.during_run = staticmethod(report_twice)
    assert main(["run", "s.json", "--json"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    lines = [line for line in err.splitlines() if not line.startswith("playing")]
    assert lines == ["going on with results/tiny/journal.sqlite3:", "  first goes on after 12:00"]


def test_run_that_begins_anew_or_is_quiet_says_no_plan(
    session_file: Path, stub_manager: type[StubManager], capsys: Capture
) -> None:
    stub_manager.during_run = staticmethod(report_twice)
    assert main(["run", "s.json", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    stub_manager.session = StubSession([])
    stub_manager.during_run = staticmethod(lambda manager: None)
    assert main(["run", "s.json"]) == 0
    assert "going on" not in capsys.readouterr().err
