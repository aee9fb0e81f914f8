from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stratd.cli.main import main
from stratd.execution.account_journal import CHECKPOINT, ENDED
from tests.unit.cli.conftest import SESSION
from tests.unit.cli.journals import played, rewritten

Capture = pytest.CaptureFixture[str]
JOURNAL = Path("results/tiny/journal.sqlite3")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of gamblers one and two, whose session has come to its end."""
    path = tmp_path_factory.mktemp("kept") / "journal.sqlite3"
    played(path, names=("one", "two"))
    return path


@pytest.fixture
def project(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session of both, which has been interrupted; in the current directory."""
    monkeypatch.chdir(tmp_path)
    JOURNAL.parent.mkdir(parents=True)
    for symbol in ("AAA", "BBB"):
        Path(f"{symbol}.csv.gz").touch()
    interrupted()
    rewritten(kept, JOURNAL, lambda record: iter(() if record.entry.kind == ENDED else (record.entry,)))
    return tmp_path


def interrupted(**changes: Any) -> None:
    session = SESSION | {
        "tick": 0.01,
        "session_data_config": {"symbols": ["AAA", "BBB"]},
        "strategies": [{"module": "strategies.gambler", "name": name} for name in ("one", "two")],
    }
    Path("s.json").write_text(json.dumps(session | changes))


def preview(capsys: Capture, *more: str) -> list[str]:
    assert main(["run", "s.json", "--preview", *more]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return list(out.splitlines())


def test_preview_of_an_interrupted_run_says_what_each_strategy_goes_on_with(project: Path, capsys: Capture) -> None:
    before = JOURNAL.read_bytes()
    first, *lines = preview(capsys)
    assert first == f"it would go on with {JOURNAL}:"
    assert [line.split()[:3] for line in lines] == [["one", "goes", "on"], ["two", "goes", "on"]] or [
        line.split()[:3] for line in lines
    ] == [["two", "goes", "on"], ["one", "goes", "on"]]
    assert all("after 2024-01-03T01:30:00Z with" in line and "and equity" in line for line in lines)
    assert JOURNAL.read_bytes() == before
    assert {path.name for path in JOURNAL.parent.iterdir()} <= {
        f"{JOURNAL.name}{ending}" for ending in ("", "-wal", "-shm", ".lock")
    }


def test_preview_as_json_is_one_document(project: Path, capsys: Capture) -> None:
    lines = preview(capsys)
    assert json.loads("\n".join(preview(capsys, "--json"))) == {"session": "tiny", "plan": lines}


@pytest.mark.parametrize(("how", "does"), [("flatten", "closes everything and goes on"), ("hold", "takes no new order")])
def test_preview_says_what_on_restart_does(project: Path, how: str, does: str, capsys: Capture) -> None:
    interrupted(journal={"on_restart": how})
    assert all(does in line for line in preview(capsys)[1:])


def test_preview_of_a_new_strategy_says_that_it_begins_anew(project: Path, capsys: Capture) -> None:
    interrupted(strategies=[{"module": "strategies.gambler", "name": name} for name in ("one", "two", "three")])
    assert preview(capsys)[-1] == "  three begins anew: nothing of it was recorded"


def test_preview_of_a_strategy_that_is_gone_says_what_becomes_of_what_it_left(project: Path, capsys: Capture) -> None:
    interrupted(strategies=[{"module": "strategies.gambler", "name": "one"}])
    assert any(line.startswith("  two is not in the session any more and has left something open in") for line in preview(capsys))


def test_preview_of_a_session_with_other_symbols_is_refused_as_the_run_is(project: Path, capsys: Capture) -> None:
    interrupted(tick=0.05)
    assert main(["run", "s.json", "--preview"]) == 1
    assert "was kept with other ticks than the session has now" in capsys.readouterr().err


def test_preview_of_a_run_that_would_begin_anew_says_why_and_removes_nothing(project: Path, kept: Path, capsys: Capture) -> None:
    interrupted(journal={"durable": False})
    assert preview(capsys) == [
        f"the session's journal is not durable (journal.durable is false): it would begin anew, and replace {JOURNAL}"
    ]
    interrupted(journal={"enabled": False})
    assert preview(capsys) == ["the session keeps no journal (journal.enabled is false): it would begin anew"]
    interrupted()
    assert JOURNAL.exists()
    assert preview(capsys, "--results-dir", "elsewhere") == ["there is no elsewhere/tiny/journal.sqlite3: it would begin anew"]
    assert not Path("elsewhere").exists()
    finished = Path("finished/tiny/journal.sqlite3")
    rewritten(kept, finished, lambda record: iter((record.entry,)))
    (line,) = preview(capsys, "--results-dir", "finished")
    assert line.startswith(f"{finished} is of a session that has come to its end")
    assert [path.name for path in finished.parent.iterdir() if path.suffix == ".sqlite3"] == ["journal.sqlite3"]


def test_preview_of_a_run_without_a_checkpoint_begins_every_strategy_anew(project: Path, kept: Path, capsys: Capture) -> None:
    early = Path("early/tiny/journal.sqlite3")
    rewritten(kept, early, lambda record: iter(() if record.entry.kind in (CHECKPOINT, ENDED) else (record.entry,)))
    assert preview(capsys, "--results-dir", "early") == [
        f"it would go on with {early}:",
        "  one begins anew: nothing of it was recorded",
        "  two begins anew: nothing of it was recorded",
    ]
