"""Whether a journal is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stratd.journal import schema
from stratd.journal.claim import read_mark
from stratd.journal.entry import BrokenChain, Head, checked, first_head
from stratd.journal.reader import connect
from stratd.journal.reasons import FAILURES, as_journal_error


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found.

    Attributes:
        session, schema_version: what the journal says of itself; "" and None where it cannot be read.
        entries, groups: how many there are before the first that is bad.
        first_bad: sequence number of the first entry that is missing or not what was written; None when there is none.
        problems: everything that is wrong, in words.
    """

    session: str = ""
    schema_version: int | None = None
    entries: int = 0
    groups: int = 0
    first_bad: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(path: Path | str) -> VerifyReport:
    """Check the schema, the chain of digests, the end against the mark beside the file, and SQLite's own structures. Changes nothing."""
    path = Path(path)
    try:
        with closing(connect(path)) as connection:
            connection.execute("BEGIN")  # all of it at one point in time
            mark = read_mark(path)  # read after that point it could be ahead of it
            return _verify(connection, path, mark)
    except FAILURES as error:
        return VerifyReport(problems=(as_journal_error(error, path).reason,))


def _verify(connection: sqlite3.Connection, path: Path, mark: Head | None) -> VerifyReport:
    problems: list[str] = []
    version = schema.version_of(connection, path)
    session = schema.meta_of(connection).get("session", "")
    head = first_head(session)
    first_bad: int | None = None
    marked = mark is None or mark == head
    try:
        for reached, _ in checked(head, connection.execute(f"SELECT {schema.COLUMNS} FROM entries ORDER BY seq")):
            head = reached
            marked = marked or head == mark
    except BrokenChain as error:
        first_bad = error.sequence
        problems.append(str(error))
    except sqlite3.Error as error:
        first_bad = head.sequence + 1
        problems.append(f"entry {first_bad} cannot be read ({error})")
    if first_bad is None and mark is not None and not marked:
        first_bad = head.sequence + 1 if mark.sequence > head.sequence else None
        problems.append(
            f"ends at entry {head.sequence}, but was written up to entry {mark.sequence}, or is not the file of its .lock file"
        )
    try:
        found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        found = [str(error)]
    problems += [f"SQLite: {line}" for line in found if line != "ok"]
    return VerifyReport(session, version, head.sequence, head.group, first_bad, tuple(problems))
