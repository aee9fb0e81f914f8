"""Store: the connection that writes, and how it is trusted again after an error."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from stratd.errors import JournalError
from stratd.journal import schema
from stratd.journal.backlog import Group
from stratd.journal.claim import Claim, read_mark
from stratd.journal.entry import BrokenChain, Head, checked, digest_of, first_head

_BUSY_SECONDS: Final = 0.2
_TAIL: Final = 1000  # entries at the end that every opening checks
_ROWS: Final = 64  # of one statement
_PAGE_BYTES: Final = 4096
_BATCH_PAGE_BYTES: Final = 16_384  # of a file that is written in large groups: fewer pages to sum up and to copy
_PLACES: Final = "(?, ?, ?, ?, ?, ?, ?)"


class Store:
    """The file, its log, its claim, and the head up to which it is written.

    A transaction of up to 64 rows is one statement: each step of SQLite gives the interpreter up and has to get it back, which costs up to a switch
    interval when other threads compute.

    Thread safety: used by whoever opens the journal, then by its thread alone.

    Attributes:
        head: what is in the file for certain.
        tried: what it will be if the last transaction that was tried has come through.
        unmerged_bytes: about how much has gone into the log (`-wal`) since the last checkpoint.
    """

    def __init__(self, path: Path, session: str, durable: bool, claim: Claim, now_ns: Callable[[], int]) -> None:
        self.path = path
        self.head = self.tried = first_head(session)
        self.unmerged_bytes = 0
        self._session = session
        self._durable = durable
        self._claim = claim
        self._now_ns = now_ns
        self._connection: sqlite3.Connection | None = None
        self._guard: sqlite3.Connection | None = None
        self._files: tuple[tuple[Path, os.stat_result], ...] = ()
        self._inserts: dict[int, str] = {}

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise JournalError("is not open", path=str(self.path))
        return self._connection

    # Opening.

    def open(self) -> None:
        """Create the journal or bring it up to date, and find its end.

        Raises:
            JournalError: it is none, is newer, belongs to another session, or something that was written is missing.
            sqlite3.Error, OSError: it cannot be read or written.
        """
        if self._durable:
            # What is found is built upon, so it has to be on the disk, whatever the last process left in the cache.
            self._forget_cached(sync=True)
        self._connect()
        connection = self.connection
        if schema.is_new(connection, self.path):
            if (mark := read_mark(self.path)) is not None and mark.sequence:
                raise self._short(Head(0, 0, b""), mark)
            schema.create(connection, self._session, self._now_ns())
        schema.migrate(connection, self.path)
        session = schema.meta_of(connection).get("session")
        if session != self._session:
            raise JournalError(
                f"is the journal of session {session!r}, not of {self._session!r}; name another file", path=str(self.path)
            )
        connection.execute("BEGIN IMMEDIATE")  # fails where the file can only be read
        connection.execute("ROLLBACK")
        self.head = self.tried = self._find_head(_TAIL)
        mark = read_mark(self.path)
        if mark is not None and not self._holds(mark):
            raise self._short(self.head, mark)
        if self._durable:
            self.checkpoint()
            sync_directory(self.path.parent)
            self._claim.mark(self.head)

    def _connect(self, *, alone: bool = False) -> None:
        """Open the connection, and a second one that only keeps SQLite from tidying up when the first is closed.

        The last connection to be closed does a checkpoint and removes the log. After an error that would be wrong: SQLite remembers pages as copied
        that a checkpoint in two parts (a reader was behind) wrote without a sync, and the sync that failed may have been theirs.
        """
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if alone:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable or alone else 'OFF'}")
            connection.execute("PRAGMA cell_size_check = ON")
            if not self._durable and not alone:
                connection.execute(f"PRAGMA page_size = {_BATCH_PAGE_BYTES}")  # of a new file
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise JournalError(
                    f"cannot have a write-ahead log there (SQLite says {mode!r}); use a local file system", path=str(self.path)
                )
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
            log = self.path.with_name(self.path.name + "-wal")
            if not alone:
                self._guard = sqlite3.connect(read_only_uri(self.path), uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)
                self._guard.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self._files = tuple((path, os.stat(path)) for path in (self.path, log))
        except BaseException:
            connection.close()
            self.abandon()
            raise
        self._connection = connection

    def _find_head(self, entries: int) -> Head:
        """The end of the file; the chain of the last `entries` of it is followed."""
        (last,) = self.connection.execute("SELECT max(seq) FROM entries").fetchone()
        head = first_head(self._session)
        if last is None:
            return head
        if last > entries:
            query = "SELECT seq, grp, digest FROM entries WHERE seq = ?"
            found = self.connection.execute(query, (last - entries,)).fetchone()
            if found is None:
                raise self._broken(BrokenChain(last - entries, "is missing"))
            head = Head(*found)
        rows = self.connection.execute(f"SELECT {schema.COLUMNS} FROM entries WHERE seq > ? ORDER BY seq", (head.sequence,))
        try:
            for reached, _ in checked(head, rows):
                head = reached
        except BrokenChain as error:
            raise self._broken(error) from None
        return head

    def _holds(self, mark: Head) -> bool:
        found = self.connection.execute("SELECT digest FROM entries WHERE seq = ? AND grp = ?", mark[:2]).fetchone()
        return not mark.sequence or found == (mark.digest,)

    def _broken(self, error: BrokenChain) -> JournalError:
        return JournalError(
            f"is damaged: {error}. Keep a copy, run `stratd journal verify` on it, and go on from a backup or a new journal",
            path=str(self.path),
        )

    def _short(self, head: Head, mark: Head) -> JournalError:
        return JournalError(
            f"is damaged: it ends at entry {head.sequence} (group {head.group}), but had been written up to entry {mark.sequence} "
            f"(group {mark.group}), or is not the file that {self._claim.path.name} belongs to. Put the file and its -wal file back; to "
            f"go on without what is missing, remove {self._claim.path.name}",
            path=str(self.path),
        )

    # Writing.

    def write(self, groups: Sequence[Group]) -> None:
        """Append groups as one transaction. When it returns they are on the disk (durable), or SQLite has them.

        Raises:
            sqlite3.Error, OSError, JournalError: it is not known whether they are; see `leaves_no_doubt`.
        """
        sequence, _, digest = self.head
        rows: list[tuple[Any, ...]] = []
        for group in groups:
            for row in group.rows:
                sequence += 1
                digest = digest_of(digest, sequence, group.ticket, row.fixed, row.payload)
                rows.append((sequence, group.ticket, row.owner, row.kind, row.time, row.payload, digest))
        self.tried = Head(sequence, groups[-1].ticket, digest)
        connection = self.connection
        if len(rows) <= _ROWS:
            self._insert(rows)
        else:
            connection.execute("BEGIN IMMEDIATE")
            for first in range(0, len(rows), _ROWS):
                self._insert(rows[first : first + _ROWS])
            connection.execute("COMMIT")
        self.in_place()
        self.head = self.tried
        if self._durable:
            self._claim.mark(self.head)
        self.unmerged_bytes += _PAGE_BYTES + sum(group.size for group in groups)

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        count = len(rows)
        if count not in self._inserts:
            self._inserts[count] = f"INSERT INTO entries VALUES {', '.join([_PLACES] * count)}"
        self.connection.execute(self._inserts[count], [value for row in rows for value in row])

    def in_place(self) -> None:
        """See that what was written to is still what others would find there: a file that was removed takes writes without complaint.

        Raises:
            JournalError: it is not.
            FileNotFoundError: it is gone.
        """
        for path, opened in self._files:
            if not os.path.samestat(os.stat(path), opened):
                raise JournalError(f"was replaced by another file while it was open; put {path.name} back", path=str(self.path))
        if not self._claim.held():
            raise JournalError(f"lost its lock: {self._claim.path.name} was removed or replaced", path=str(self.path))

    def checkpoint(self) -> None:
        """Bring what is in the log into the file. Readers do not mind; the next writes begin the log anew."""
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if self._durable:
            self._claim.sync()
        self.unmerged_bytes = 0

    # After an error.

    def recover(self) -> None:
        """Find out what is really written, and be able to write again.

        Linux says once that an fsync failed, and then shows the data from its cache as if it were on the disk. So: let go of the files, have the
        cache forget them, read them alone and without what others share, copy everything in the log to the file (new writes, a new fsync, whose
        result counts), forget again, and check the whole chain as the disk gives it.

        Raises:
            JournalError: something that was written is missing, or readers do not let go.
            sqlite3.Error, OSError: it still does not work.
        """
        self.abandon()
        if not self._claim.held():
            self._claim.release()
            self._claim.acquire()
        os.stat(self.path)  # must be there: opening would make a new one
        self._forget_cached()
        self._connect(alone=True)
        try:
            (busy, _, _) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise JournalError("cannot be checked while another program reads it: close that program", path=str(self.path))
        finally:
            self.abandon()
        self._forget_cached()
        self._connect()
        found = self._find_head(self.tried.sequence + 1)
        if found not in (self.head, self.tried):
            self.abandon()
            raise self._short(found, self.head)
        self.head = self.tried = found
        if self._durable:
            sync_directory(self.path.parent)
            self._claim.mark(found)

    def _forget_cached(self, *, sync: bool = False) -> None:
        # Only while there is no connection: closing a descriptor drops the locks that SQLite has on the same file.
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                if sync:
                    os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)

    def rollback(self) -> None:
        """End a transaction that an error has left open."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def abandon(self) -> None:
        """Let go of the file and leave it and its log as they are."""
        connection, self._connection = self._connection, None
        guard, self._guard = self._guard, None
        if connection is not None:
            connection.close()
        if guard is not None:
            guard.close()

    def finish(self) -> None:
        """End well: everything in the file, and the mark at its end.

        Raises:
            sqlite3.Error, OSError: it could not be brought there; the log still has it.
        """
        self.checkpoint()
        self._claim.mark(self.head)
        self.close()

    def close(self) -> None:
        """Let go of the file. SQLite brings the log into it and removes the log."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()
        self.abandon()


def read_only_uri(path: Path) -> str:
    """How to have SQLite open a file without changing it."""
    return f"{path.absolute().as_uri()}?mode=ro"


def sync_directory(directory: Path) -> None:
    """Have the names in a directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
