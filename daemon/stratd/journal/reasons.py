"""What went wrong with a journal's file, in words, and what to do about it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Final

from stratd.errors import JournalError

_FULL: Final = "the disk is full: free some space"
_READ_ONLY: Final = "the file or its file system is read-only: make it writable"
_GONE: Final = "the file or its directory is gone or was replaced: put it back where it was"
_DISK: Final = (
    "the disk reports an error: look at the system's log (dmesg), and check the disk and its cables before you trust it"
)
_LOCKED: Final = "another program holds the file locked: close it (an SQLite shell, a backup)"
_CORRUPT: Final = (
    "the file is damaged: keep a copy of it, run `stratd journal verify` on it, and go on from a backup or a new journal"
)

_BY_SQLITE: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: its directory must exist, and it must be readable and writable for this user",
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: "is not a journal, nor any SQLite database: name another file, or take it from a backup",
    sqlite3.SQLITE_NOMEM: "there is no memory left: end other programs",
}
_BY_ERRNO: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.EIO: _DISK,
}

Failure = sqlite3.Error | OSError | MemoryError | JournalError
FAILURES: Final = (sqlite3.Error, OSError, MemoryError, JournalError)
"""What the journal's thread takes for an outage: it goes on trying."""


def reason_of(error: Failure) -> str:
    """One line: what is wrong, what to do, and the system's own words."""
    if isinstance(error, JournalError):
        return error.reason
    if isinstance(error, MemoryError):
        return _BY_SQLITE[sqlite3.SQLITE_NOMEM]
    if isinstance(error, OSError):
        words = _BY_ERRNO.get(error.errno or 0)
        detail = error.strerror or str(error)
    else:
        words = _BY_SQLITE.get(code_of(error) & 0xFF)
        detail = f"{getattr(error, 'sqlite_errorname', type(error).__name__)}, {error}"
    return f"{words} ({detail})" if words else detail


def code_of(error: BaseException) -> int:
    """SQLite's extended error code; 0 where there is none."""
    return int(getattr(error, "sqlite_errorcode", 0))


def leaves_no_doubt(error: Failure) -> bool:
    """Whether after this error it is certain that nothing was written, so that the connection can be used again.

    True of a full disk and of a lock that was not given: SQLite takes the transaction back. After anything else, an fsync that failed above all,
    the system may show data that is not on the disk.
    """
    return isinstance(error, sqlite3.Error) and code_of(error) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)


def as_journal_error(error: Failure, path: Path) -> JournalError:
    """The same, for whoever opens or reads."""
    return error if isinstance(error, JournalError) and error.path else JournalError(reason_of(error), path=str(path))
