"""Claim: a journal belongs to one process, and a witness says how far it was written."""

from __future__ import annotations

import fcntl
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

from stratd.errors import JournalError
from stratd.journal.entry import Head

_MARK_OFFSET: Final = 64  # behind the line with the process id
_CHECK_BYTES: Final = 8


class Claim:
    """The side file `<journal>.lock`: locked by the process that writes, and marked with what it has written.

    A `flock`: the system lets go of it when the process ends, however it ends, so a file that was left behind blocks nobody. (SQLite's
    exclusive mode would lock readers out too. Its own kind of lock is lost when any descriptor of the file is closed in the process.)

    The mark is the head of the journal, written here after every commit and not synced: it costs microseconds. It only ever
    claims what has been durable before, so it can be older than the journal, never newer. A journal that ends before its mark
    has lost something, which a write-ahead log that was cut short does not show by itself.

    Thread safety: used by whoever opens the journal, then by its thread.
    """

    def __init__(self, journal: Path) -> None:
        self.path = lock_path(journal)
        self._journal = journal
        self._descriptor = -1

    def acquire(self) -> None:
        """Lock the side file, which is made if need be.

        Raises:
            JournalError: another process, or another Journal of this one, has the journal.
            OSError: the file cannot be opened.
        """
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                held = os.pread(descriptor, _MARK_OFFSET, 0).partition(b"\n")[0].decode(errors="replace")
                os.close(descriptor)
                if not isinstance(error, BlockingIOError):
                    raise
                by = f"process {held}" if held.isdecimal() else "another process"
                raise JournalError(
                    f"is being written by {by}; stop it, or name another journal", path=str(self._journal)
                ) from None
            if _is_at(descriptor, self.path):
                os.pwrite(descriptor, f"{os.getpid()}\n".encode().ljust(_MARK_OFFSET, b" "), 0)
                self._descriptor = descriptor
                return
            os.close(descriptor)  # somebody removed it between the two calls

    def held(self) -> bool:
        """Whether the file that is locked is still the one that others would lock."""
        return self._descriptor >= 0 and _is_at(self._descriptor, self.path)

    def mark(self, head: Head) -> None:
        """Note that everything up to `head` is written."""
        text = f"{head.sequence} {head.group} {head.digest.hex()}"
        os.pwrite(self._descriptor, f"{text} {_check(text)}\n".encode(), _MARK_OFFSET)

    def sync(self) -> None:
        """Have the mark outlive a power cut too."""
        os.fdatasync(self._descriptor)

    def release(self) -> None:
        """Let others have the journal. The file stays: removing it could remove the lock of somebody who came in between."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_path(journal: Path) -> Path:
    """Where a journal's side file is."""
    return journal.with_name(journal.name + ".lock")


def read_mark(journal: Path) -> Head | None:
    """How far a journal was written for certain; None where there is no whole mark."""
    try:
        with open(lock_path(journal), "rb") as file:
            line = file.read(_MARK_OFFSET + 256)[_MARK_OFFSET:].partition(b"\n")[0]
    except FileNotFoundError:
        return None
    text, _, check = line.decode(errors="replace").rpartition(" ")
    if not text or check != _check(text):
        return None
    sequence, group, digest = text.split(" ")
    return Head(int(sequence), int(group), bytes.fromhex(digest))


def _check(text: str) -> str:
    return blake2b(text.encode(), digest_size=_CHECK_BYTES).hexdigest()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
