"""Reading a journal, also while another process writes it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from stratd.errors import JournalError
from stratd.journal import schema
from stratd.journal.entry import BrokenChain, Head, Record, checked, first_head
from stratd.journal.reasons import as_journal_error, code_of
from stratd.journal.store import read_only_uri

_BATCH_ROWS: Final = 4096
_BATCH_BYTES: Final = 4 * 1024 * 1024
_BUSY_SECONDS: Final = 5.0


def read_journal(path: Path | str) -> Iterator[Record]:
    """Everything that is written, in order, up to the end as it is when the reader gets there.

    Between batches nothing is held: a reader that is slow, or never finishes, keeps the writer from nothing.

    Raises:
        JournalError: it is no journal, or newer than this program, or damaged (what came before that has been given).
    """
    path = Path(path)
    try:
        with closing(connect(path)) as connection:
            session = schema.meta_of(connection).get("session", "")
        head = first_head(session)
        while rows := _batch(path, head):
            for reached, entry in checked(head, rows):
                head = reached
                yield Record(head.sequence, head.group, entry)
    except (sqlite3.Error, OSError) as error:
        raise as_journal_error(error, path) from error
    except BrokenChain as error:
        raise JournalError(f"is damaged: {error}. Run `stratd journal verify` on it", path=str(path)) from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing.

    Raises:
        JournalError: it is no journal, or of another version.
        sqlite3.Error, OSError: it cannot be read.
    """
    os.stat(path)  # its error names the file
    uri = read_only_uri(path)
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        # On a medium that cannot be written nobody writes, and SQLite cannot make the files that it uses to agree with writers.
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        try:
            new = schema.is_new(connection, path)
        except sqlite3.OperationalError as error:
            # Only its making uses a rollback journal: it was cut off there, and whoever opens it to write begins anew.
            new = code_of(error) == sqlite3.SQLITE_READONLY_ROLLBACK
            if not new:
                raise
        if new:
            raise JournalError("is empty: nothing was ever written to it", path=str(path))
        if schema.version_of(connection, path) < schema.VERSION:
            raise JournalError(
                "was written by an older stratd; run a session with it once, which brings it up to date", path=str(path)
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _batch(path: Path, head: Head) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    with closing(connect(path)) as connection:
        query = f"SELECT {schema.COLUMNS} FROM entries WHERE seq > ? ORDER BY seq LIMIT {_BATCH_ROWS}"
        for row in connection.execute(query, (head.sequence,)):
            rows.append(row)
            size += len(row[5]) if isinstance(row[5], bytes) else 0
            if size > _BATCH_BYTES:
                break
    return rows
