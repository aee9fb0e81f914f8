from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stratd.errors import JournalError
from stratd.journal import schema
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify

SCHEMA_0 = (
    f"PRAGMA application_id = {schema.APPLICATION_ID}",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL, payload BLOB NOT NULL)",
    "INSERT INTO meta VALUES ('schema_version', '0'), ('session', 's'), ('created', '1')",
)


def version_0(path: Path, entries: list[Entry]) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in SCHEMA_0:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?)", [(7 * n + 3, *entry) for n, entry in enumerate(entries)]
        )
        connection.commit()
    return path


@pytest.mark.parametrize("count", [0, 1, 1_500])
def test_open_version_0_is_migrated_with_all_its_entries(tmp_path: Path, count: int) -> None:
    entries = [Entry(f"o{n % 2}", n, n * n, bytes([n % 256])) for n in range(count)]
    path = version_0(tmp_path / "journal.db", entries)
    with Journal(path, durable=True, session="s") as journal:
        assert journal.durable_ticket == count
        assert journal.wait(journal.post([Entry("new", 1, 2, b"x")]), 20.0)
    assert [record.entry for record in read_journal(path)] == [*entries, Entry("new", 1, 2, b"x")]
    report = verify(path)
    assert (report.ok, report.schema_version, report.groups) == (True, schema.VERSION, count + 1)


def test_open_version_0_that_cannot_be_migrated_stays_as_it_was(tmp_path: Path) -> None:
    path = version_0(tmp_path / "journal.db", [Entry("a", 1, 2, b"x"), Entry("a", 1, 2, "text")])  # type: ignore[arg-type]
    with pytest.raises(JournalError, match="cannot be brought up to date from schema 0"):
        Journal(path, durable=True, session="s").open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("0",)
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (2,)


def test_read_version_0_says_how_to_bring_it_up_to_date(tmp_path: Path) -> None:
    path = version_0(tmp_path / "journal.db", [])
    with pytest.raises(JournalError, match="was written by an older stratd; run a session with it once"):
        list(read_journal(path))


def test_open_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path, durable=True, session="s").__enter__().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(
        JournalError, match=r"was written by a newer stratd \(schema 2, this one knows up to 1\); use that version"
    ):
        Journal(path, durable=True, session="s").open()
    assert "newer stratd" in verify(path).problems[0]
    assert path.read_bytes() == before


def test_open_version_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path, durable=True, session="s").__enter__().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = 'one' WHERE key = 'schema_version'")
        connection.commit()
    with pytest.raises(JournalError, match="has no valid schema version"):
        Journal(path, durable=True, session="s").open()


def test_steps_there_is_one_for_each_older_version() -> None:
    assert len(schema.STEPS) == schema.VERSION
