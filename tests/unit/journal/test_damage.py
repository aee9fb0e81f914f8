from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest

from stratd.errors import JournalError
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify

DEADLINE = 20.0
ENTRIES = [Entry(f"owner {number % 3}", number, number, bytes([number]) * (number * 7 % 900)) for number in range(120)]


def keep(directory: Path, *, close: bool, entries: list[Entry] = ENTRIES) -> Path:
    """A journal in groups of one; not closed, it is as a killed process leaves it."""
    path = directory / "kept" / "journal.db"
    journal = Journal(path, durable=True, session="s")
    journal.open()
    for entry in entries:
        ticket = journal.post([entry])
    assert journal.wait(ticket, DEADLINE)
    if not close:
        shutil.copytree(path.parent, directory / "copy", ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    return path if close else directory / "copy" / "journal.db"


def found_in(path: Path) -> list[Entry]:
    """What is there once it has been opened for writing."""
    with Journal(path, durable=True, session="s") as journal:
        return [entry for _, entry in journal.read()]


def test_open_after_a_kill_everything_is_there(tmp_path: Path) -> None:
    path = keep(tmp_path, close=False)
    assert path.with_name("journal.db-wal").stat().st_size > 0
    assert verify(path).ok
    assert found_in(path) == ENTRIES


@pytest.mark.parametrize("kept_fraction", [0.0, 0.3, 0.7, 0.99, 0.9999])
def test_open_log_cut_short_says_what_is_missing(tmp_path: Path, kept_fraction: float) -> None:
    path = keep(tmp_path, close=False)
    log = path.with_name("journal.db-wal")
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * kept_fraction)])
    report = verify(path)
    assert not report.ok
    with pytest.raises(JournalError, match=r"(had been written up to entry 120 \(group 120\)|is empty|is damaged)"):
        found_in(path)


def test_open_log_removed_says_what_is_missing_and_how_to_go_on_without(tmp_path: Path) -> None:
    path = keep(tmp_path, close=True, entries=ENTRIES[:50])
    with Journal(path, durable=True, session="s") as journal:
        for entry in ENTRIES[50:]:
            ticket = journal.post([entry])
        assert journal.wait(ticket, DEADLINE)
        shutil.copytree(path.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm", "*-wal"))
    path = tmp_path / "copy" / "journal.db"
    assert verify(path).first_bad == 51
    with pytest.raises(
        JournalError, match=r"it ends at entry 50 .* but had been written up to entry 120 .* remove journal.db.lock"
    ):
        found_in(path)
    path.with_name("journal.db.lock").unlink()
    assert found_in(path) == ENTRIES[:50]


@pytest.mark.parametrize("close", [True, False], ids=["file", "log"])
def test_open_any_byte_changed_is_seen_or_does_not_matter(tmp_path: Path, close: bool) -> None:
    path = keep(tmp_path, close=close)
    random = Random(7)
    refused = 0
    for number in range(30):
        copy = tmp_path / str(number)
        shutil.copytree(path.parent, copy)
        target = copy / ("journal.db" if close else "journal.db-wal")
        content = bytearray(target.read_bytes())
        for _ in range(random.choice((1, 16))):
            content[random.randrange(len(content))] ^= random.randrange(1, 256)
        target.write_bytes(content)
        try:
            seen = verify(copy / "journal.db")
            assert found_in(copy / "journal.db") == ENTRIES
        except JournalError:
            refused += 1
            assert close is False or not seen.ok
    assert refused > 5


def test_open_without_a_mark_the_end_of_the_chain_is_checked_all_the_same(tmp_path: Path) -> None:
    path = keep(tmp_path, close=True)
    path.with_name("journal.db.lock").unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET payload = x'00' WHERE seq = 120")
    connection.close()
    with pytest.raises(JournalError, match="entry 120 is not what was written"):
        Journal(path, durable=True, session="s").open()


def test_open_last_page_overwritten_is_refused(tmp_path: Path) -> None:
    path = keep(tmp_path, close=True)
    content = path.read_bytes()
    path.write_bytes(content[:-4096] + bytes(4096))
    with pytest.raises(JournalError, match="damaged"):
        found_in(path)
    assert not verify(path).ok


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE entries SET payload = x'00' WHERE seq = 60", 60),
        ("UPDATE entries SET time = time + 1 WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 33", 33),
        ("DELETE FROM entries WHERE seq > 100", 101),
        ("UPDATE entries SET owner = NULLIF(x'ff', 1) WHERE seq = 5", 5),
        ("UPDATE meta SET value = 't' WHERE key = 'session'", 1),
    ],
)
def test_verify_row_changed_by_hand_names_the_first_bad_entry(tmp_path: Path, statement: str, first_bad: int) -> None:
    path = keep(tmp_path, close=True)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, first_bad)
    with pytest.raises(JournalError):
        assert [record.entry for record in read_journal(path)] == found_in(path) == ENTRIES


def test_read_gives_what_comes_before_the_damage(tmp_path: Path) -> None:
    path = keep(tmp_path, close=True)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET kind = 7 WHERE seq = 50")
    connection.close()
    records = read_journal(path)
    assert [next(records).entry for _ in range(49)] == ENTRIES[:49]
    with pytest.raises(JournalError, match="entry 50 is not what was written"):
        next(records)


@pytest.mark.parametrize(
    ("content", "words"), [(b"what is this? " * 1000, "is not a journal, nor any SQLite database"), (b"", "is empty")]
)
def test_verify_no_journal_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    assert words in verify(path).problems[0]
    with pytest.raises(JournalError, match=words):
        list(read_journal(path))


def test_verify_no_file_says_so(tmp_path: Path) -> None:
    assert "is gone" in verify(tmp_path / "journal.db").problems[0]
    assert list(tmp_path.iterdir()) == []


def test_open_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()
    with pytest.raises(JournalError, match="is an SQLite database, but not a journal of stratd"):
        found_in(path)
    text = tmp_path / "notes.txt"
    text.write_text("my notes " * 1000)
    with pytest.raises(JournalError, match="is not a journal, nor any SQLite database"):
        found_in(text)
    assert text.read_text() == "my notes " * 1000


def test_open_clock_stepped_back_does_not_matter(tmp_path: Path) -> None:
    class Clock:
        now = 1_700_000_000_000_000_000

        def now_ns(self) -> int:
            self.now -= 3_600_000_000_000
            return self.now

        monotonic_ns = now_ns

    clock = Clock()
    for number in range(3):
        with Journal(tmp_path / "journal.db", durable=True, session="s", clock=clock) as journal:
            assert journal.wait(journal.post([Entry("a", 1, -number, b"")]), DEADLINE)
    assert [record.entry.time for record in read_journal(tmp_path / "journal.db")] == [0, -1, -2]
    assert verify(tmp_path / "journal.db").ok
