from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from stratd.errors import JournalError
from stratd.journal import writer
from stratd.journal.backlog import Backlog
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify

from ...support import power_cut

DEADLINE = 20.0
CHILD = Path(__file__).with_name("outage_child.py")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return power_cut.compiled(tmp_path_factory.mktemp("shim"))


def seen_by_child(library: Path, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    directory = tmp_path / "disk"
    directory.mkdir()
    done = power_cut.run(library, CHILD, directory, tmp_path / "record", *arguments)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


FAULTS = [
    ("w:-wal:ENOSPC", "the disk is full: free some space"),
    ("s:-wal:EIO", "the disk reports an error"),
    ("s:-wal:ENOSPC", "the disk reports an error"),
    ("w:-wal:EIO", "the disk reports an error"),
    ("w:-wal:EROFS", "the disk reports an error"),
    ("w:.lock:EROFS", "read-only"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_outage_that_heals_everything_is_written_once_and_in_order(library: Path, tmp_path: Path, fault: str, words: str) -> None:
    seen = seen_by_child(library, tmp_path, "heals", fault)
    assert words in seen.pop("failure")
    del seen["while_read"]
    assert seen == {"waited": False, "durable": 1, "after": None, "reasons": 1}
    path = tmp_path / "disk" / "journal.db"
    assert [(record.group, record.entry.time) for record in read_journal(path)] == [
        (1, 1), *((number, number) for number in range(2, 6) for _ in range(2)), (6, 6),
    ]  # fmt: skip
    assert verify(path).ok


def test_outage_until_the_end_close_says_how_much_is_lost(library: Path, tmp_path: Path) -> None:
    seen = seen_by_child(library, tmp_path, "closes", "w:-wal:ENOSPC")
    assert (seen["lost"], seen["reasons"]) == (8, 1)
    assert "8 entries in 4 groups are lost" in seen["error"]
    assert "the disk is full" in seen["error"]
    path = tmp_path / "disk" / "journal.db"
    assert [record.group for record in read_journal(path)] == [1]
    assert verify(path).ok


def test_outage_the_disk_fails_for_good_close_says_how_much_is_lost(library: Path, tmp_path: Path) -> None:
    seen = seen_by_child(library, tmp_path, "closes", "s:-wal:EIO", "s:.db:EIO", "w:-wal:EIO")
    assert seen["lost"] == 8
    path = tmp_path / "disk" / "journal.db"
    with Journal(path, durable=True, session="s") as journal:  # the next process, the disk being well again
        assert next(journal.read()) == (1, Entry("a", 1, 1, b"before"))


def test_outage_after_a_failed_sync_nothing_is_trusted_that_others_still_share(library: Path, tmp_path: Path) -> None:
    seen = seen_by_child(library, tmp_path, "reader", "s:-wal:EIO")
    assert "another program holds the file locked: close it" in str(seen.pop("while_read"))
    assert (seen["durable"], seen["after"], seen["reasons"]) == (1, None, 1)
    assert verify(tmp_path / "disk" / "journal.db").ok


@pytest.mark.parametrize(
    "fault", ["s:-journal:KILL", "w:.db:KILL", "s:.db:KILL", "u:-journal:KILL", "w:-wal:KILL", "s:-wal:KILL"]
)
def test_open_killed_while_the_journal_is_made_readers_say_it_is_empty_and_the_next_one_makes_it(
    library: Path, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "disk").mkdir()
    done = power_cut.run(library, CHILD, tmp_path / "disk", tmp_path / "record", "making", fault)
    assert done.returncode == -SIGKILL, done.stderr
    path = tmp_path / "disk" / "journal.db"
    if fault != "s:-wal:KILL":  # there it was made, and only the disk does not know
        with pytest.raises(JournalError, match="is empty: nothing was ever written to it"):
            next(read_journal(path))
        assert "is empty" in verify(path).problems[0]
    with Journal(path, durable=True, session="s") as journal:
        assert journal.wait(journal.post([Entry("a", 1, 1, b"")]), DEADLINE)
    assert verify(path).ok


class Watched:
    """An open journal, and what it said of its failures."""

    def __init__(self, path: Path) -> None:
        self.reasons: list[str] = []
        self._said = threading.Semaphore(0)
        self.journal = Journal(path, durable=True, session="s", on_failure=self._on_failure)
        self.journal.open()
        self.number = 0

    def _on_failure(self, reason: str) -> None:
        self.reasons.append(reason)
        self._said.release()

    def post(self) -> int:
        self.number += 1
        return self.journal.post([Entry("a", 1, self.number, b"x")])

    def written(self) -> bool:
        return self.journal.wait(self.post(), DEADLINE)

    def fails(self) -> str:
        """Post something that cannot be written; why."""
        assert self.journal.wait(self.post(), DEADLINE) is False
        assert self._said.acquire(timeout=DEADLINE)
        assert self.journal.failure == self.reasons[-1]
        return self.reasons[-1]

    def heals(self) -> None:
        pause = threading.Event()
        while self.journal.durable_ticket < self.number:
            pause.wait(0.005)
        assert self.journal.failure is None
        assert self.written()
        assert [entry.time for _, entry in self.journal.read()] == list(range(1, self.number + 1))
        assert verify(self.journal.path).ok


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(writer, "_FIRST_DELAY_SECONDS", 0.01)
    monkeypatch.setattr(writer, "_LAST_DELAY_SECONDS", 0.02)
    one = Watched(tmp_path / "disk" / "journal.db")
    assert one.written()
    yield one
    one.journal.close()


def test_outage_another_program_locks_the_file_waits_until_it_lets_go(watched: Watched) -> None:
    other = sqlite3.connect(watched.journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "another program holds the file locked: close it" in watched.fails()
    other.execute("ROLLBACK")
    other.close()
    watched.heals()


def test_outage_directory_vanished_comes_back_with_nothing_lost(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    assert "is gone or was replaced: put it back" in watched.fails()
    watched.post()
    (tmp_path / "elsewhere").rename(tmp_path / "disk")
    watched.heals()


def test_outage_directory_vanished_an_empty_one_is_not_taken_for_it(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    watched.fails()
    (tmp_path / "disk").mkdir()
    assert watched.journal.wait(watched.post(), DEADLINE) is False
    assert "journal.db" not in os.listdir(tmp_path / "disk")
    (tmp_path / "disk" / "journal.db.lock").unlink(missing_ok=True)
    (tmp_path / "disk").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "disk")
    watched.heals()


def test_outage_lock_file_removed_is_noticed_and_locked_again(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "disk" / "journal.db.lock").unlink()
    watched.fails()
    watched.heals()
    with pytest.raises(JournalError, match="is being written by process"):
        Journal(watched.journal.path, durable=True, session="s").open()


def test_outage_another_writer_took_the_journal_neither_writes_over_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_FIRST_DELAY_SECONDS", 0.01)
    first = Watched(tmp_path / "journal.db")
    assert first.written()
    (tmp_path / "journal.db.lock").unlink()
    with Journal(tmp_path / "journal.db", durable=True, session="s") as second:
        assert second.wait(second.post([Entry("second", 1, 1, b"")]), DEADLINE)
        first.fails()
        assert second.wait(second.post([Entry("second", 1, 2, b"")]), DEADLINE)
    with pytest.raises(JournalError, match="1 entries in 1 groups are lost"):
        first.journal.close()
    assert [record.entry.owner for record in read_journal(tmp_path / "journal.db")] == ["a", "second", "second"]
    assert verify(tmp_path / "journal.db").ok


def test_outage_another_journal_at_the_same_path_keeps_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_FIRST_DELAY_SECONDS", 0.01)
    first = Watched(tmp_path / "disk" / "journal.db")
    assert first.written()
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    with Journal(first.journal.path, durable=True, session="s") as second:
        assert second.wait(second.post([Entry("second", 1, 1, b"")]), DEADLINE)
        first.fails()
        pause = threading.Event()
        while "is being written by process" not in str(first.journal.failure):
            pause.wait(0.005)
        # It has closed its connection, and by the name of its log there is the other's now.
        assert second.wait(second.post([Entry("second", 1, 2, b"")]), DEADLINE), second.failure
    with pytest.raises(JournalError, match="1 entries in 1 groups are lost"):
        first.journal.close()
    assert [record.entry.owner for record in read_journal(first.journal.path)] == ["second", "second"]


def test_outage_is_said_once_and_again_for_the_next(watched: Watched) -> None:
    for times in (1, 2):
        other = sqlite3.connect(watched.journal.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        watched.fails()
        for _ in range(5):
            assert watched.journal.wait(watched.post(), 0.0) is False
        other.execute("ROLLBACK")
        other.close()
        watched.heals()
        assert len(watched.reasons) == times


class FailingStore:
    """Writes nothing for some time, and then all."""

    path = Path("stub.db")
    unmerged_bytes = 0

    def __init__(self, error: BaseException, times: int) -> None:
        self._error, self._left = error, times
        self.groups: list[Any] = []

    def write(self, groups: Any) -> None:
        if self._left:
            self._left -= 1
            raise self._error
        self.groups += groups

    def rollback(self) -> None: ...


class Stopping(threading.Event):
    """Keeps how long it was waited for, and waits not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.delays.append(timeout)
        return self.is_set()


def writing(
    store: FailingStore, posts: int = 3, on_failure: Callable[[str], None] = lambda reason: None
) -> tuple[writer.Writer, Any]:
    backlog = Backlog(0, 0)
    one = writer.Writer(store, backlog, False, on_failure)  # type: ignore[arg-type]
    one._stopping = Stopping()
    for _ in range(posts):
        backlog.post([], 1)
    one.start()
    return one, backlog


def test_writer_tries_again_after_delays_that_double_up_to_10_seconds() -> None:
    full = sqlite3.OperationalError("full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    store = FailingStore(full, 9)
    one, backlog = writing(store)
    pause = threading.Event()
    while not backlog.durable:
        pause.wait(0.001)
    one.stop()
    assert one.join(DEADLINE) == (True, [])
    assert one._stopping.delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]  # type: ignore[attr-defined]
    assert [group.ticket for group in store.groups] == [1, 2, 3]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_writer_ended_by_a_bug_tells_everybody() -> None:
    said: list[str] = []
    one, backlog = writing(FailingStore(ZeroDivisionError("a bug"), 1), on_failure=said.append)
    ended, left = one.join(DEADLINE)
    assert (ended, len(left)) == (True, 3)
    assert backlog.wait(3, None) is False
    assert backlog.post([], 1) is None
    assert "the journal's thread has ended with ZeroDivisionError: a bug" in backlog.failure
