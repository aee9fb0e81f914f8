from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from stratd.cli.main import main
from stratd.errors import CalendarError, Problem
from stratd.system.config import SessionConfig
from stratd.system.schema import session_schema

Capture = pytest.CaptureFixture[str]


class StubCheck:
    """Stands where `check_session` does."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.error: CalendarError | None = None

    def __call__(self, config: SessionConfig) -> list[Problem]:
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def stub_check(monkeypatch: pytest.MonkeyPatch) -> StubCheck:
    stub = StubCheck()
    module = types.ModuleType("stratd.system.check")
    module.check_session = stub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stratd.system.check", module)
    return stub


def test_check_of_a_good_file_says_what_it_holds(session_file: Path, stub_check: StubCheck, capsys: Capture) -> None:
    assert main(["check", "s.json"]) == 0
    assert capsys.readouterr() == ("s.json: ok (2 strategies, 2 symbols)\n", "")


def test_check_of_several_files_goes_on_after_a_broken_one(session_file: Path, stub_check: StubCheck, capsys: Capture) -> None:
    Path("broken.json").write_text('{"a": 1,}')
    assert main(["check", "nothing.json", "broken.json", "s.json"]) == 78
    out, err = capsys.readouterr()
    assert out == "s.json: ok (2 strategies, 2 symbols)\n"
    first, second = err.splitlines()
    assert first == "nothing.json: no such file"
    assert second.startswith("broken.json: not valid JSON at line 1, column ")


def test_check_with_problems_in_strategies_prints_each(session_file: Path, stub_check: StubCheck, capsys: Capture) -> None:
    stub_check.found = [
        Problem("s.json", "strategies[0].module", "no such module", suggestion="strategies.frist"),
        Problem("s.json", "strategies[1].config.period", "must be at least 2", "1"),
    ]
    assert main(["check", "s.json"]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "s.json: strategies[0].module: no such module; did you mean 'strategies.frist'?",
        "s.json: strategies[1].config.period: must be at least 2 (got 1)",
    ]


def test_check_with_another_error_of_ours_says_which_file(session_file: Path, stub_check: StubCheck, capsys: Capture) -> None:
    stub_check.error = CalendarError("calendar 'XNIS' is unknown")
    assert main(["check", "s.json"]) == 78
    assert capsys.readouterr() == ("", "s.json: calendar 'XNIS' is unknown\n")


def test_schema_prints_the_schema(capsys: Capture) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == session_schema()
