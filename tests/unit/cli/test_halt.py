from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stratd.cli import halt
from stratd.cli.main import main
from stratd.cli.places import JOURNAL_NAME, find_place
from stratd.cli.running import writer_of
from stratd.execution.account_journal import ENDED
from stratd.journal.journal import Journal
from stratd.risk.kill_switch import FILE_NAME
from stratd.risk.limits import RiskLimits
from stratd.system.config import load_session
from stratd.system.session_journal import FILE_NAME as SESSION_JOURNAL_NAME
from stratd.system.session_journal import journal_path
from tests.unit.cli.conftest import SESSION
from tests.unit.cli.journals import played, rewritten

Capture = pytest.CaptureFixture[str]
HALT = Path("results/tiny/HALT")


def test_names_of_files_are_those_of_the_session() -> None:
    assert (halt.FILE_NAME, JOURNAL_NAME) == (FILE_NAME, SESSION_JOURNAL_NAME)


def test_halt_writes_the_reason_and_says_what_it_means(session_file: Path, capsys: Capture) -> None:
    assert main(["halt", "s.json", "--reason", "bad\n quotes"]) == 0
    assert HALT.read_text() == "bad quotes\n"
    assert os.listdir(HALT.parent) == ["HALT"]
    assert capsys.readouterr().out.splitlines() == [
        "tiny is halted: bad quotes",
        "  no new order is let through, open orders are cancelled, positions stay as they are (results/tiny/HALT)",
        (
            "  no run of it can be seen here: nobody writes results/tiny/journal.sqlite3. If one is going on, its results are elsewhere: "
            "say where with --results-dir"
        ),
        "  to trade again: stratd resume s.json",
    ]


def test_halt_twice_keeps_the_first_reason_unless_another_is_given(session_file: Path, capsys: Capture) -> None:
    assert main(["halt", "s.json", "--reason", "bad quotes"]) == 0
    assert main(["halt", "s.json"]) == 0
    assert "tiny was halted already: bad quotes" in capsys.readouterr().out
    assert HALT.read_text() == "bad quotes\n"
    assert main(["halt", "s.json", "--reason", "strange fills"]) == 0
    assert "tiny is halted: strange fills (before: bad quotes)" in capsys.readouterr().out
    assert HALT.read_text() == "strange fills\n"


def test_halt_without_a_reason_gives_one(session_file: Path) -> None:
    assert main(["halt", "s.json", "--reason", "  "]) == 0
    assert HALT.read_text() == "halted by hand\n"


def test_resume_removes_the_file_and_says_what_it_was(session_file: Path, capsys: Capture) -> None:
    main(["halt", "s.json", "--reason", "bad quotes"])
    capsys.readouterr()
    assert main(["resume", "s.json"]) == 0
    assert not HALT.exists()
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "tiny is not halted any more (it was: bad quotes)"
    assert "those that were cancelled stay cancelled; what a risk limit has halted stays halted" in second


def test_resume_of_what_was_not_halted_says_so_and_ends_well(session_file: Path, capsys: Capture) -> None:
    assert main(["resume", "s.json"]) == 0
    assert capsys.readouterr().out.startswith("tiny was not halted: there is no results/tiny/HALT\n")


@pytest.mark.parametrize("changes", [{"strategies": "none"}, {"window": -1}, {"feed": {"path": "gone"}}, {"no_such_key": 1}])
def test_halt_works_with_a_session_that_is_broken_elsewhere(session_file: Path, changes: dict[str, object]) -> None:
    session_file.write_text(json.dumps(SESSION | changes))
    assert main(["halt", "s.json"]) == 0
    assert HALT.exists()


def test_halt_takes_the_directory_of_results_itself(session_file: Path, capsys: Capture) -> None:
    HALT.parent.mkdir(parents=True)
    assert main(["halt", "results/tiny"]) == 0
    assert HALT.exists()
    assert "tiny is halted" in capsys.readouterr().out


def test_halt_with_results_dir_halts_there(session_file: Path, capsys: Capture) -> None:
    assert main(["halt", "s.json", "--results-dir", "else where"]) == 0
    assert Path("else where/tiny/HALT").exists()
    assert not HALT.exists()
    assert "to trade again: stratd resume s.json --results-dir 'else where'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{"session_name": "a/b"}', 78, "session_name: names the session's directory of results"),
        ('{"session_name": 5}', 78, "session_name: must be text"),
        ('{"results_dir": null}', 78, "results_dir: must be text"),
        ('{"journal": {"path": 3}}', 78, "journal.path: must be text"),
        ('{"session_name": ', 78, "not valid JSON"),
    ],
)
def test_halt_of_a_file_that_does_not_say_where_is_refused(
    session_file: Path, text: str, code: int, said: str, capsys: Capture
) -> None:
    session_file.write_text(text)
    assert main(["halt", "s.json"]) == code
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err
    assert not HALT.exists()


def test_halt_that_cannot_be_written_says_that_nothing_is_halted(session_file: Path, capsys: Capture) -> None:
    Path("results").write_text("a file where the directory should be")
    assert main(["halt", "s.json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "results/tiny/HALT" in err
    assert "NOTHING IS HALTED" in err


def test_halt_with_a_reason_that_cannot_be_read_is_halted_all_the_same(session_file: Path, capsys: Capture) -> None:
    HALT.mkdir(parents=True)
    assert main(["halt", "s.json"]) == 0
    assert "tiny was halted already: for a reason that cannot be read: Is a directory" in capsys.readouterr().out
    assert main(["resume", "s.json"]) == 1
    assert "cannot be removed (Is a directory), so tiny stays halted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes", [{}, {"results_dir": "~/r"}, {"journal": {"path": "elsewhere.sqlite3"}}, {"journal": {"path": "~/j.sqlite3"}}]
)
def test_place_is_the_one_of_the_checked_session(session_file: Path, changes: dict[str, object]) -> None:
    session_file.write_text(json.dumps(SESSION | changes))
    config, place = load_session(session_file), find_place(session_file)
    assert place.name == config.session_name
    assert place.directory == config.results_path / config.session_name
    assert place.journal == journal_path(config, config.results_path)
    assert find_place(session_file, "r").journal == journal_path(config, Path("r"))


def test_place_of_a_session_without_a_name_is_named_by_its_file(session_file: Path) -> None:
    session_file.write_text(json.dumps({key: value for key, value in SESSION.items() if key != "session_name"}))
    assert find_place(session_file).name == load_session(session_file).session_name == "s"


# Who runs it.


def test_halt_of_a_session_that_runs_says_which_process(session_file: Path, capsys: Capture) -> None:
    with Journal(Path("results/tiny") / JOURNAL_NAME, durable=False, session="tiny"):
        assert main(["halt", "s.json"]) == 0
        assert f"process {os.getpid()} runs it now" in capsys.readouterr().out
    assert main(["resume", "s.json"]) == 0
    assert "no run of it can be seen here" in capsys.readouterr().out


def test_writer_of_a_journal_that_another_process_holds_is_that_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    code = (
        "import sys; from pathlib import Path; from stratd.journal.claim import Claim; claim = Claim(Path(sys.argv[1])); claim.acquire(); "
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": _DAEMON},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    assert writer_of(path) == child.pid
    child.communicate()
    assert writer_of(path) is None


_DAEMON = str(Path(halt.__file__).parents[2])


@pytest.mark.parametrize("text", ["", "no number", "999999999\n", f"{os.getpid()}\n"])
def test_writer_of_a_journal_that_was_left_behind_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "journal.sqlite3.lock").write_text(text)
    assert writer_of(tmp_path / "journal.sqlite3") is None


# Resets. What they do: tests/unit/system/test_restarts.py.


@pytest.fixture
def stopped(session_file: Path) -> Path:
    """The journal of a run of one gambler that was halted and killed."""
    path = Path("results/tiny") / JOURNAL_NAME
    path.parent.mkdir(parents=True)
    played(Path("whole"), limits=RiskLimits(drawdown_fraction=0.0001), durable=True)
    return rewritten(Path("whole"), path, lambda record: iter(() if record.entry.kind == ENDED else (record.entry,)))


def test_resume_strategy_says_what_comes_of_it_and_leaves_the_kill_switch(stopped: Path, capsys: Capture) -> None:
    main(["halt", "s.json"])
    capsys.readouterr()
    assert main(["resume", "s.json", "--strategy", "one", "--reason", "it was\n right"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "one is active from the next start on (it is halted: drawdown); its day and its highest equity begin anew from "
    )
    assert second == "its kill switch is thrown as well: stratd resume s.json"
    assert third == "  what it goes on with: stratd run s.json --preview"
    assert HALT.exists()
    assert main(["journal", "show", "s.json", "--kind", "resets"]) == 0
    assert "the account, which was halted" in (out := capsys.readouterr().out)
    assert "it was right" in out
    assert main(["journal", "verify", "s.json"]) == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--strategy", "two"], 2, "--strategy two: nothing of a strategy of this name was recorded in"),
        (["--book"], 1, "nothing of a book was recorded, so there is none to reset"),
        (["--reason", "why"], 2, "--reason is kept with a reset: say of what, with --strategy NAME or --book"),
        (["--strategy", "one", "--results-dir", "gone"], 1, "gone/tiny/journal.sqlite3: no such file"),
    ],
)
def test_resume_of_what_cannot_be_reset_says_why(
    stopped: Path, options: list[str], code: int, said: str, capsys: Capture
) -> None:
    assert main(["resume", "s.json", *options]) == code
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


def test_resume_strategy_while_the_session_runs_says_what_to_do(stopped: Path, capsys: Capture) -> None:
    with Journal(stopped, durable=True, session="tiny"):
        assert main(["resume", "s.json", "--strategy", "one"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"process {os.getpid()} runs tiny now, and a reset is taken in at a start: stop it (kill -TERM {os.getpid()})" in err
