"""The journal's tables, and how older ones are brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from stratd.errors import JournalError
from stratd.journal.entry import Entry, Head, digest_of, first_head, row_of

APPLICATION_ID: Final = 0x73747264  # "strd", in the file's header: what tells a journal from other SQLite databases
VERSION: Final = 1
COLUMNS: Final = "seq, grp, CAST(owner AS BLOB), kind, time, payload, digest"
"""What readers select. The owner as bytes: text that is not UTF-8 any more must break the chain and not the reader."""

_META: Final = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_ENTRIES: Final = (
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, grp INTEGER NOT NULL, owner TEXT NOT NULL, kind INTEGER NOT NULL, "
    "time INTEGER NOT NULL, payload BLOB NOT NULL, digest BLOB NOT NULL)"
)


def create(connection: sqlite3.Connection, session: str, created_ns: int) -> None:
    """Make the tables, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(_META)
    connection.execute(_ENTRIES)
    values = (("schema_version", str(VERSION)), ("session", session), ("created", str(created_ns)))
    connection.executemany("INSERT INTO meta VALUES (?, ?)", values)
    connection.execute("COMMIT")


def is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing is there yet.

    Raises:
        JournalError: something is there, but no journal.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID and tables:
        return False
    if application or tables:
        raise JournalError("is an SQLite database, but not a journal of stratd; name another file", path=str(path))
    return True


def meta_of(connection: sqlite3.Connection) -> dict[str, str]:
    """What the journal says about itself: schema_version, session, created (ns UTC)."""
    return dict(connection.execute("SELECT key, value FROM meta"))


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version.

    Raises:
        JournalError: it cannot be read, or is newer than this program.
    """
    text = meta_of(connection).get("schema_version", "")
    if not text.isdecimal():
        raise JournalError(
            f"has no valid schema version in its table meta (found {text!r}); take it from a backup", path=str(path)
        )
    if int(text) > VERSION:
        raise JournalError(
            f"was written by a newer stratd (schema {text}, this one knows up to {VERSION}); use that version of stratd",
            path=str(path),
        )
    return int(text)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables up to date, step by step, each step all or nothing.

    Raises:
        JournalError: the schema is newer than this program, or what is in an older one does not fit.
    """
    for version in range(version_of(connection, path), VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            STEPS[version](connection)
        except (TypeError, ValueError) as error:
            connection.execute("ROLLBACK")
            raise JournalError(
                f"cannot be brought up to date from schema {version} ({error}); it is as it was: read it with the stratd that wrote it",
                path=str(path),
            ) from error
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(version + 1),))
        connection.execute("COMMIT")


def _add_groups_and_digests(connection: sqlite3.Connection) -> None:
    """Version 0 had neither: each of its entries becomes a group of its own, numbered anew without holes."""
    connection.execute("ALTER TABLE entries RENAME TO entries_0")
    connection.execute(_ENTRIES)
    head = first_head(meta_of(connection)["session"])
    for values in connection.execute("SELECT owner, kind, time, payload FROM entries_0 ORDER BY seq"):
        row = row_of(Entry(*values))
        sequence = head.sequence + 1
        head = Head(sequence, sequence, digest_of(head.digest, sequence, sequence, row.fixed, row.payload))
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", (sequence, sequence, *row[:4], head.digest))
    connection.execute("DROP TABLE entries_0")


STEPS: Final[Sequence[Callable[[sqlite3.Connection], None]]] = (_add_groups_and_digests,)
"""`STEPS[v]` turns a schema of version v into one of v + 1."""
