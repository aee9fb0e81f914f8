from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stratd import __version__
from stratd.cli import check
from stratd.cli.main import main
from stratd.errors import FeedError, MissingExtra

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["rnu", "x"], "did you mean 'run'?"),
        (["run"], "required: SESSION"),
        (["run", "--windw", "3", "x"], "unknown argument --windw; did you mean --window?"),
        (["run", "--windw=3", "x"], "did you mean --window?"),
        (["backtest", "x", "y"], "stratd backtest: unknown argument y\n"),
        (["backtest", "x", "--window", "0"], "0 must be at least 1"),
        (["backtest", "x", "--block", "many"], "'many' is not a whole number"),
        (["backtest", "x", "--metrics-port", "70000"], "70000 must be from 0 to 65535"),
        (["backtest", "x", "--signals", "a.txt"], "'a.txt' must end in .csv or .parquet"),
        (["backtest", "x", "--speed-multiplier", "2"], "unknown argument --speed-multiplier"),
        (["run", "x", "--log-level", "inf"], "did you mean 'info'?"),
        (["list", "startegies"], "did you mean 'strategies'?"),
        (["data", "inspct", "x"], "did you mean 'inspect'?"),
        (["check"], "required: FILE"),
        (["backtest", "x", "--preview"], "unknown argument --preview"),
        (["journal", "show"], "required: SESSION|FILE"),
        (["journal", "export", "x"], "required: --out"),
        (["journal", "verfy", "x"], "did you mean 'verify'?"),
        (["hlat", "x"], "did you mean 'halt'?"),
        (["resume"], "required: SESSION"),
    ],
)
def test_main_with_a_wrong_command_line_says_what_is_meant(argv: list[str], said: str, capsys: Capture) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "--help` says what there is" in err


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["run"],
        ["backtest"],
        ["check"],
        ["schema"],
        ["list"],
        ["new", "strategy"],
        ["data"],
        ["warm"],
        ["halt"],
        ["resume"],
        ["journal"],
        ["journal", "show"],
        ["journal", "verify"],
        ["journal", "export"],
    ],
)
def test_main_with_help_explains_and_ends_well(verb: list[str], capsys: Capture) -> None:
    assert main([*verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: stratd")


@pytest.mark.parametrize("argv", [[], ["data"], ["new"], ["journal"]])
def test_main_without_a_verb_prints_help(argv: list[str], capsys: Capture) -> None:
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("usage: stratd")


def test_main_with_version_prints_it(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"stratd {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FeedError("a.csv", "has no rows"), 1, "a.csv: has no rows\n"),
        (MissingExtra("ray", "this"), 78, "this needs the optional extra 'ray': pip install 'stratd[ray]'\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_main_with_an_error_of_ours_prints_it_plainly(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(check, "print_schema", fail)
    assert main(["schema"]) == code
    assert capsys.readouterr() == ("", said)


def test_main_with_a_bug_lets_it_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(check, "print_schema", fail)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["schema"])


HEAVY = ("numba", "numpy", "pandas", "pyarrow", "exchange_calendars", "rich", "structlog", "prometheus_client")


def loaded_by(command: str, directory: Path) -> tuple[int, set[str]]:
    """Exit code of a command in an interpreter of its own, and which heavy modules it loaded."""
    code = f"import sys; from stratd.cli.main import main; code = main({command.split()!r}); print(code, *sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(check.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=directory, env=environment, capture_output=True, text=True, check=True
    )
    number, *modules = done.stdout.splitlines()[-1].split()
    return int(number), {name.partition(".")[0] for name in modules} & {*HEAVY, "pydantic", "yaml"}


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded_by("--help", tmp_path) == (0, set())


def test_halt_loads_little(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text("{}")
    assert loaded_by("halt session.json", tmp_path) == (0, {"pydantic"})
    assert loaded_by("resume results/session", tmp_path) == (0, set())


def test_check_of_a_broken_file_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"session_nam": "x"}')
    assert loaded_by("check broken.json", tmp_path) == (78, {"pydantic"})
    (tmp_path / "broken.yaml").write_text("session_nam: x")
    assert loaded_by("check broken.yaml", tmp_path) == (78, {"pydantic", "yaml"})


def test_output_that_nobody_reads_any_more_ends_quietly(tmp_path: Path) -> None:
    """As in `stratd schema | head -1`, once head has gone."""
    environment = {**os.environ, "PYTHONPATH": str(Path(check.__file__).parents[2])}
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stratd", "schema"], stdout=write_end, stderr=subprocess.PIPE, text=True, env=environment
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")
