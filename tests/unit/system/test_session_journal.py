from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stratd.core.clock import SystemClock
from stratd.errors import JournalError
from stratd.execution.account_journal import (
    CHECKPOINT,
    ENDED,
    POINTS,
    RECORDS,
    SESSION,
    AccountJournal,
    pack_state,
    read_past,
    unpack_state,
)
from stratd.execution.session_past import read_session
from stratd.execution.terms import TradingTerms
from stratd.journal.claim import Claim
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify
from stratd.portfolio.cells import R_COLUMNS
from stratd.system.builder import build_market
from stratd.system.config import SessionConfig
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions, SessionResult
from stratd.system.session_journal import SessionJournal, journal_path, open_journal
from stratd.testing.bars import BarRow, series
from tests.support.replays import entry, session
from tests.support.row_feed import RowFeed, merged

DURABLE, BATCHED = RunOptions(durable=True), RunOptions()
SYMBOLS = ("AAA", "BBB")
NAMES = ("journal.sqlite3", "journal.sqlite3-wal", "journal.sqlite3-shm", "journal.sqlite3.lock")


def config(strategies: tuple[str, ...] = (), symbols: tuple[Any, ...] = SYMBOLS, **journal: Any) -> SessionConfig:
    entries = [entry("crash_troupe", name, name.lower()) for name in strategies]
    return SessionConfig.model_validate(session(symbols, [5], entries, tick=0.01, journal=journal))


def opened(results: Path, options: RunOptions = DURABLE, given: SessionConfig | None = None) -> SessionJournal:
    given = given or config()
    market = build_market(given, SystemClock())
    terms = TradingTerms(market.symbols, market.instruments, market.calendars, market.calendar_of, 10)
    found = open_journal(given, options, results, terms, SystemClock())
    assert found is not None
    return found


def left(results: Path, options: RunOptions = DURABLE, *, finished: bool) -> Path:
    """Leave a journal behind, with a record."""
    found = opened(results, options)
    found.journal.post([Entry("a", POINTS, 1, np.ones((1, 2), np.int64).tobytes())])
    found.close(finished)
    return found.journal.path


def kinds(path: Path) -> list[int]:
    return [record.entry.kind for record in read_journal(path)]


def test_open_journal_not_enabled_is_none(tmp_path: Path) -> None:
    given = config(enabled=False)
    market = build_market(given, SystemClock())
    terms = TradingTerms(market.symbols, market.instruments, market.calendars, market.calendar_of, 10)
    assert open_journal(given, DURABLE, tmp_path, terms, SystemClock()) is None
    assert list(tmp_path.iterdir()) == []


def test_journal_path_is_among_the_results_or_as_the_session_says(tmp_path: Path) -> None:
    assert journal_path(config(), tmp_path) == tmp_path / "replay" / "journal.sqlite3"
    assert journal_path(config(path="elsewhere/j.db"), tmp_path) == Path("elsewhere/j.db")


@pytest.mark.parametrize(
    ("options", "said", "durable"),
    [(DURABLE, None, True), (BATCHED, None, False), (DURABLE, False, False), (BATCHED, True, True)],
)
def test_open_journal_session_says_durable_or_the_verb_does(
    tmp_path: Path, options: RunOptions, said: bool | None, durable: bool
) -> None:
    found = opened(tmp_path, options, config(durable=said))
    found.close(finished=True)
    assert found.durable is durable


def test_open_journal_new_says_what_its_numbers_mean(tmp_path: Path) -> None:
    found = opened(tmp_path, given=config(symbols=("AAA", {"symbol": "BBB", "lot": 0.5})))
    found.close(finished=False)
    (record,) = read_journal(found.journal.path)
    said = json.loads(record.entry.payload)
    assert record.entry.kind == SESSION
    assert (said["symbols"], said["ticks"], said["lots"]) == (["AAA", "BBB"], [0.01, 0.01], [1.0, 0.5])
    assert (found.past.pasts, found.plan) == ({}, [])


def test_open_journal_durable_and_not_ended_is_gone_on_with(tmp_path: Path) -> None:
    path = left(tmp_path, finished=False)
    before = kinds(path)
    opened(tmp_path).close(finished=False)
    assert kinds(path) == before
    assert {file.name for file in path.parent.iterdir()} <= set(NAMES)


def test_open_journal_durable_and_ended_is_set_aside_and_kept(tmp_path: Path) -> None:
    contents = []
    for _ in range(3):
        contents.append(list(read_journal(left(tmp_path, finished=True))))
    directory = tmp_path / "replay"
    for number, content in enumerate(contents[:2], 1):
        kept = directory / f"journal.{number}.sqlite3"
        assert list(read_journal(kept)) == content
        assert verify(kept).ok
    assert list(read_journal(directory / "journal.sqlite3")) == contents[2]


@pytest.mark.parametrize("moved", range(1, 4))
@pytest.mark.parametrize("options", [DURABLE, BATCHED], ids=["durable", "batched"])
def test_open_journal_crash_while_it_was_set_aside_or_removed_begins_anew(
    tmp_path: Path, options: RunOptions, moved: int
) -> None:
    path = left(tmp_path, options, finished=True)
    if options is DURABLE:
        # As it is done: the lock's file first, the journal last.
        for name in [name for name in reversed(NAMES) if (path.parent / name).exists()][:moved]:
            (path.parent / name).rename(path.parent / name.replace("journal.", "journal.1."))
    else:
        path.with_name(path.name + ".lock").write_bytes(b"")
        for name in NAMES[:moved]:
            (path.parent / name).unlink(missing_ok=True)
    found = opened(tmp_path, options)
    found.close(finished=True)
    assert kinds(path)[0] == SESSION
    assert verify(path).ok


class Crash(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("renames", range(4))
def test_open_journal_crash_while_one_that_was_not_closed_is_set_aside_keeps_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    first = opened(tmp_path / "first")
    for number in range(300):
        first.journal.post([Entry("a", POINTS, number, bytes(160))])
    assert first.journal.wait(first.journal.post([Entry("", ENDED, 0, b"")]), 10.0)
    # What a process that is killed now leaves behind: most of it is in the log.
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    first.journal.close()
    content = list(read_journal(first.journal.path))
    rename, left = Path.rename, [None] * renames

    def crash(path: Path, target: Path) -> Path:
        if not left:
            raise Crash
        left.pop()
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        try:
            opened(tmp_path / "second").close(finished=False)
        except Crash:
            pass
    opened(tmp_path / "second").close(finished=False)
    directory = tmp_path / "second" / "replay"
    assert kinds(directory / "journal.sqlite3") == [SESSION]
    assert list(read_journal(directory / "journal.1.sqlite3")) == content
    assert not (directory / "journal.2.sqlite3").exists()


def test_open_journal_batched_replaces_a_batched_one(tmp_path: Path) -> None:
    for finished in (False, True, True):
        path = left(tmp_path, BATCHED, finished=finished)
        assert kinds(path).count(SESSION) == 1
        assert {file.name for file in path.parent.iterdir()} <= set(NAMES)


def test_open_journal_batched_over_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    path = left(tmp_path, DURABLE, finished=False)
    before = list(read_journal(path))
    with pytest.raises(JournalError, match="has not ended, and a backtest would replace it"):
        opened(tmp_path, BATCHED)
    assert list(read_journal(path)) == before
    opened(tmp_path, DURABLE).close(finished=True)


@pytest.mark.parametrize("given", [config(), config(symbols=("BBB", {"symbol": "CCC", "tick": 0.05}))], ids=["same", "other"])
@pytest.mark.parametrize("options", [DURABLE, BATCHED], ids=["durable", "batched"])
def test_open_journal_in_which_nothing_has_happened_is_in_nobodys_way(
    tmp_path: Path, options: RunOptions, given: SessionConfig
) -> None:
    opened(tmp_path).close(finished=False)
    found = opened(tmp_path, options, given)
    found.journal.post([Entry("a", POINTS, 1, bytes(16))])
    found.close(finished=False)
    path = found.journal.path
    assert {file.name for file in path.parent.iterdir()} <= set(NAMES)
    past = read_session((record.sequence, record.entry) for record in read_journal(path))
    assert past.about is not None
    assert (past.about["symbols"], past.durable, past.ended) == (list(given.symbols), found.durable, False)
    assert found.plan == []
    if options is DURABLE:  # and what has happened since then has a meaning
        with pytest.raises(JournalError, match="was kept with other"):
            opened(tmp_path, DURABLE, config(symbols=("AAA", "CCC")))


@pytest.mark.parametrize("options", [DURABLE, BATCHED], ids=["durable", "batched"])
def test_open_journal_in_which_nothing_has_happened_yet_and_that_is_being_written_is_refused(
    tmp_path: Path, options: RunOptions
) -> None:
    running = opened(tmp_path)
    with pytest.raises(JournalError, match=r"is being written by process \d+"):
        opened(tmp_path, options)
    running.close(finished=False)


def test_open_journal_whose_run_began_and_was_cut_off_while_it_was_looked_at_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path)
    first.close(finished=False)
    path, acquire = first.journal.path, Claim.acquire

    def late(self: Claim) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Claim, "acquire", acquire)
            left(tmp_path, finished=False)
        acquire(self)

    monkeypatch.setattr(Claim, "acquire", late)
    with pytest.raises(JournalError, match="has not ended, and a backtest would replace it"):
        opened(tmp_path, BATCHED)
    assert POINTS in kinds(path)


@pytest.mark.parametrize("options", [DURABLE, BATCHED], ids=["durable", "batched"])
def test_open_journal_of_a_running_process_is_refused_and_left_alone(tmp_path: Path, options: RunOptions) -> None:
    running = opened(tmp_path, options)
    ticket = running.journal.post([Entry("a", POINTS, 1, bytes(16))])
    with pytest.raises(JournalError, match=r"is being written by process \d+"):
        opened(tmp_path, options)
    assert running.journal.wait(ticket, 10.0)
    running.close(finished=True)
    assert len(kinds(running.journal.path)) == 3


@pytest.mark.parametrize(
    ("symbols", "what"),
    [
        (("BBB", "AAA"), "symbols"),
        (("AAA",), "symbols and ticks and lots"),
        (("AAA", {"symbol": "BBB", "tick": 0.05}), "ticks"),
        (("AAA", {"symbol": "BBB", "lot": 0.1}), "lots"),
    ],
)
def test_open_journal_of_other_symbols_says_what_and_lets_go(tmp_path: Path, symbols: tuple[Any, ...], what: str) -> None:
    path = left(tmp_path, finished=False)
    before = list(read_journal(path))
    with pytest.raises(JournalError, match=f"was kept with other {what} than the session has now"):
        opened(tmp_path, given=config(symbols=symbols))
    assert list(read_journal(path)) == before
    opened(tmp_path).close(finished=True)  # nobody has it


def test_open_journal_killed_before_its_first_transaction_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "replay" / "journal.sqlite3"
    path.parent.mkdir()
    path.touch()
    opened(tmp_path).close(finished=False)
    assert kinds(path) == [SESSION]


def test_open_journal_damaged_says_so_and_lets_go(tmp_path: Path) -> None:
    path = left(tmp_path, finished=False)
    content = path.read_bytes()
    at = content.index(b'"symbols"')
    path.write_bytes(content[:at] + b"X" + content[at + 1 :])
    for _ in range(2):
        with pytest.raises(JournalError, match="is damaged"):
            opened(tmp_path)
    assert path.read_bytes()[at : at + 1] == b"X"


# What a journal knows of accounts.


def records(*numbers: int) -> bytes:
    rows = np.zeros((len(numbers), R_COLUMNS), np.int64)
    rows[:, 2] = numbers
    return rows.tobytes()


def test_read_past_records_behind_the_last_checkpoint_do_not_count() -> None:
    entries = [
        Entry("a", RECORDS, 1, records(1, 2)),
        Entry("b", RECORDS, 1, records(7)),
        Entry("a", CHECKPOINT, 10, b"first"),
        Entry("a", RECORDS, 2, records(3)),
        Entry("a", CHECKPOINT, 20, b"second"),
        Entry("a", RECORDS, 3, records(4)),
    ]
    description, pasts = read_past(enumerate(entries))
    assert description is None
    assert [row[2] for rows in pasts["a"].records for row in rows] == [1, 2, 3]
    assert (pasts["a"].time, pasts["a"].state) == (20, b"second")
    assert (pasts["b"].time, pasts["b"].records) == (-1, [])


def test_account_journal_commit_is_one_group(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", durable=True, session="s") as journal:
        own = AccountJournal(journal, "a", True)
        own.add_records(np.ones((2, R_COLUMNS), np.int64))
        own.add_points(np.ones((1, 2), np.int64))
        assert own.commit(5, b"state") is None
        assert own.commit(6, b"state") is None
        found = list(read_journal(tmp_path / "j.db"))
    assert [(record.group, record.entry.kind) for record in found] == [
        (1, RECORDS),
        (1, POINTS),
        (1, CHECKPOINT),
        (2, CHECKPOINT),
    ]


def test_pack_state_is_read_back_as_it_was_and_refused_when_cut() -> None:
    values = {"strategy": {"text": "ä", "list": [1, 2.5, None]}}
    tables = [np.arange(6).reshape(2, 3), np.array([[0.5, np.nan]]), np.zeros((0, 4), np.int64)]
    payload = pack_state(values, tables)
    found, read = unpack_state(payload)
    assert found == values
    assert [table.shape for table in read] == [(2, 3), (1, 2), (0, 4)]
    assert read[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read[1].view(np.float64)[0, 0] == 0.5
    for length in (0, 3, 8, 20, len(payload) - 1):
        with pytest.raises(JournalError, match="stratd journal verify"):
            unpack_state(payload[:length])


# Whole runs, which end as if they had been killed: without a word that the session has ended.


@functools.cache
def rows() -> tuple[BarRow, ...]:
    walks = 40.0 + np.cumsum(np.random.default_rng(3).integers(-5, 6, (2, 200)), axis=1) / 100
    each = [
        series([round(close, 2) for close in walk.tolist()], symbol=symbol) for symbol, walk in zip(SYMBOLS, walks, strict=True)
    ]
    return tuple(merged(each, SYMBOLS))


def run(results: Path, strategies: tuple[str, ...], count: int, **journal: Any) -> SessionResult:
    """Run the first `count` minutes."""
    feed = RowFeed(rows()[: 2 * count])
    return SystemManager(config(strategies, **journal), RunOptions(durable=True, results_dir=str(results)), feed=feed).run()


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Results of a run of one strategy that went on to the 120th minute."""

    def made(name: str) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(SessionJournal, "close", lambda self, finished: self.journal.close())
            run(tmp_path / "results", (name,), 120)
        return tmp_path / "results"

    return made


def test_run_after_an_interrupted_one_says_with_what_it_goes_on(interrupted: Callable[[str], Path]) -> None:
    result = run(interrupted("Listener"), ("Listener",), 200)
    (line,) = result.restart_plan
    assert line.startswith("listener goes on after 2024-01-02T14:00:00Z with ")
    assert "working orders and equity " in line


def test_run_after_a_finished_one_begins_anew(tmp_path: Path) -> None:
    first, second = (run(tmp_path, ("Listener",), 200) for _ in range(2))
    assert second.restart_plan == ()
    assert second.ledger_hash == first.ledger_hash


def test_run_restore_state_raises_says_of_which_strategy_and_lets_go(interrupted: Callable[[str], Path]) -> None:
    results = interrupted("Forgetful")
    for _ in range(2):
        with pytest.raises(JournalError, match=r"strategy forgetful cannot take back what it kept at .*KeyError: 'chain'"):
            run(results, ("Forgetful",), 200)
    path = results / "replay" / "journal.sqlite3"
    before = list(read_journal(path))
    shutil.copytree(results, results.parent / "copy")
    # Nothing was changed: with "flatten" the strategy begins anew, and its state is not asked for.
    run(results.parent / "copy", ("Forgetful",), 200, on_restart="flatten")
    assert list(read_journal(path)) == before


def test_run_feed_ends_before_what_was_handled_is_not_the_sessions_end(interrupted: Callable[[str], Path]) -> None:
    results = interrupted("Listener")
    run(results, ("Listener",), 60)
    resumed = run(results, ("Listener",), 200)
    assert resumed.restart_plan, "the session was taken for ended, and what it held is forgotten"
