from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stratd.cli.main import main
from stratd.execution.account_journal import CHECKPOINT, ENDED, RESET
from stratd.execution.account_journal import SESSION as SESSION_ENTRY
from stratd.execution.resets import Reset
from stratd.journal.entry import Entry, Record
from tests.unit.cli.conftest import SESSION
from tests.unit.cli.journals import played, rewritten

Capture = pytest.CaptureFixture[str]
JOURNAL = Path("results/tiny/journal.sqlite3")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of gamblers one and two, whose session has come to its end."""
    path = tmp_path_factory.mktemp("kept") / "journal.sqlite3"
    played(path, names=("one", "two"), durable=True)
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


def test_preview_says_which_rules_have_changed(project: Path, kept: Path, capsys: Capture) -> None:
    said = {"one": {"account": {"leverage": 2.0, "allow_short": True}, "risk": {"drawdown_fraction": 0.2}}}

    def described(record: Record) -> Iterator[Entry]:
        entry = record.entry
        if entry.kind == SESSION_ENTRY:
            entry = entry._replace(payload=json.dumps({**json.loads(entry.payload), "rules": said}).encode())
        yield from () if entry.kind == ENDED else (entry,)

    rewritten(kept, Path("other/tiny/journal.sqlite3"), described)
    lines = preview(capsys, "--results-dir", "other")
    assert [line.strip() for line in lines if "changed" in line] == [
        "changed: one: account.leverage is 1.0, and was 2.0",
        "changed: one: risk.drawdown_fraction is null, and was 0.2",
    ]


def test_preview_says_what_a_person_has_reset(project: Path, kept: Path, capsys: Capture) -> None:
    asked = Entry("one", RESET, 0, Reset(by="me", at=10**18, reason="all is well", state="halted").pack())
    path = Path("other/tiny/journal.sqlite3")
    rewritten(kept, path, lambda record: iter((asked,) if record.entry.kind == ENDED else (record.entry,)))
    line = next(line for line in preview(capsys, "--results-dir", "other") if line.startswith("  one goes on"))
    assert line.endswith("; it is active again: reset by me at 2001-09-09T01:46:40Z: all is well")


def test_preview_of_a_run_that_would_begin_anew_says_why_and_removes_nothing(project: Path, kept: Path, capsys: Capture) -> None:
    stopped = Path("stopped/tiny/journal.sqlite3")
    rewritten(kept, stopped, of_a_backtest)
    interrupted(journal={"durable": False})
    assert preview(capsys, "--results-dir", "stopped") == [
        f"the session's journal is not durable (journal.durable is false): it would begin anew, and replace {stopped}"
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


def of_a_backtest(record: Record) -> Iterator[Entry]:
    """The same, of a backtest that was stopped."""
    entry = record.entry
    if entry.kind == SESSION_ENTRY:
        entry = entry._replace(payload=json.dumps({**json.loads(entry.payload), "durable": False}).encode())
    yield from () if entry.kind == ENDED else (entry,)


def test_preview_of_a_backtest_that_was_stopped_begins_anew_as_the_run_does(project: Path, kept: Path, capsys: Capture) -> None:
    path = Path("stopped/tiny/journal.sqlite3")
    rewritten(kept, path, of_a_backtest)
    assert preview(capsys, "--results-dir", "stopped") == [
        f"{path} is of a backtest: it would be kept under another name, and the session begin anew"
    ]


def test_preview_of_what_a_run_would_refuse_to_replace_is_refused_as_the_run_is(project: Path, capsys: Capture) -> None:
    interrupted(journal={"durable": False})
    assert main(["run", "s.json", "--preview"]) == 1
    assert "holds a run of this session that has not ended" in capsys.readouterr().err
    assert JOURNAL.exists()


def test_preview_of_a_run_that_failed_at_its_start_begins_anew(project: Path, kept: Path, capsys: Capture) -> None:
    path = Path("failed/tiny/journal.sqlite3")
    rewritten(kept, path, lambda record: iter((record.entry,) if record.entry.kind == SESSION_ENTRY else ()))
    interrupted(tick=0.05)
    assert preview(capsys, "--results-dir", "failed") == [f"nothing was recorded in {path}: it would begin anew"]


LOADABLE = """
from stratd import Strategy, StrategyParams

class Idle(Strategy[StrategyParams]):
    def setup(self, ctx):
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol, interval):
        pass
"""


def test_preview_of_a_strategy_that_cannot_be_loaded_says_what_becomes_of_what_it_left(project: Path, capsys: Capture) -> None:
    for name, text in (("idle", LOADABLE), ("broken", "raise RuntimeError('broken')")):
        Path(f"{name}.py").write_text(text)
    entries = [{"module": f"{module}.py", "name": name} for module, name in (("idle", "one"), ("broken", "two"))]
    interrupted(strategies=entries, on_load_error="skip", journal={"on_orphan": "adopt"})
    _, first, second = preview(capsys)
    assert first.startswith("  one goes on after")
    assert second.startswith("  two could not be loaded and has left something open in ")
    assert second.endswith(": it is kept, and marked")


def test_preview_of_a_run_without_a_checkpoint_begins_every_strategy_anew(project: Path, kept: Path, capsys: Capture) -> None:
    early = Path("early/tiny/journal.sqlite3")
    rewritten(kept, early, lambda record: iter(() if record.entry.kind in (CHECKPOINT, ENDED) else (record.entry,)))
    assert preview(capsys, "--results-dir", "early") == [
        f"it would go on with {early}:",
        "  one begins anew: nothing of it was recorded",
        "  two begins anew: nothing of it was recorded",
    ]
