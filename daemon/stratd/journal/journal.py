"""Journal: the durable record of a session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stratd.core.clock import Clock, SystemClock
from stratd.errors import JournalError
from stratd.journal.backlog import Backlog
from stratd.journal.claim import Claim
from stratd.journal.entry import Entry, row_of
from stratd.journal.reader import read_journal
from stratd.journal.reasons import FAILURES, as_journal_error
from stratd.journal.store import Store, sync_directory
from stratd.journal.writer import BATCH_BYTES, Writer

_BOUND_BYTES: Final = 16 * BATCH_BYTES
_ROW_BYTES: Final = 200  # what an entry takes beside its payload
_CLOSE_SECONDS: Final = 60.0


def _log(reason: str) -> None:
    logging.getLogger(__name__).error("%s", reason)


class Journal:
    """Keeps entries in the order in which they were posted, in one SQLite file, written by one process.

    Durable (live, paper): what `wait` has said True of is there after a power cut. Batched (backtests): the same entries, in large transactions that
    are not synced; a crash loses the last of them, a power cut may lose all.

    Thread safety: `post`, `wait`, `failure`, `durable_ticket` and `read` from any thread; entries that one thread posts keep their order,
    and all entries have one order, that of the tickets. `open` comes first and `close` last; `close` may be called again.
    """

    def __init__(
        self, path: Path, *, durable: bool, session: str, clock: Clock | None = None, on_failure: Callable[[str], None] = _log
    ) -> None:
        """
        Args:
            path: the file. Beside it are `-wal` and `-shm` while it is open, and `.lock` for good.
            session: whose journal it is; one that belongs to another session is refused.
            on_failure: called once per outage, in a thread of its own, with what `failure` says.
        """
        self.path = Path(path)
        self._durable = durable
        self._session = session
        self._now_ns = (clock or SystemClock()).now_ns
        self._on_failure = on_failure
        self._backlog = Backlog(0, 0) if durable else Backlog(BATCH_BYTES, _BOUND_BYTES)
        self._claim = Claim(self.path)
        self._store = Store(self.path, session, durable, self._claim, self._now_ns)
        self._writer: Writer | None = None
        self._closed = False

    def open(self) -> None:
        """Create the journal, or open it and bring its schema up to date; start the thread that writes.

        Raises:
            JournalError: it is being written by another process, newer than this program, of another session, no journal, damaged
                or not writable.
        """
        if self._writer is not None or self._closed:
            raise JournalError("is open already, or was closed; make another Journal", path=str(self.path))
        try:
            _make_directory(self.path.absolute().parent)
            self._claim.acquire()
            self._store.open()
        except FAILURES as error:
            self._store.abandon()
            self._claim.release()
            raise as_journal_error(error, self.path) from error
        self._backlog.start_at(self._store.head.group)
        self._writer = Writer(self._store, self._backlog, not self._durable, self._on_failure)
        self._writer.start()

    def post(self, entries: Sequence[Entry]) -> int:
        """Queue entries as one group, which is written whole or not at all.

        Durable: never waits for the disk. Batched: waits while more than 16 MiB are queued, if the journal can write.

        Returns:
            The group's ticket, a growing number; without entries the last one that was given out.

        Raises:
            JournalError: the journal is not open; or (batched) so much is queued, and it cannot write.
            TypeError, ValueError: an entry cannot be written (a payload that is not bytes or beyond 16 MiB, a number beyond 64 bits).
        """
        if self._writer is None:
            raise JournalError("is not open", path=str(self.path))
        rows = [row_of(entry) for entry in entries]
        if not rows:
            return self._backlog.last
        ticket = self._backlog.post(rows, sum(_ROW_BYTES + len(row.payload) for row in rows))
        if ticket is None:
            if self.failure is not None:
                raise JournalError(self.failure)  # it says which file
            raise JournalError("is closed: nothing can be posted any more", path=str(self.path))
        return ticket

    def wait(self, ticket: int, timeout_seconds: float | None = None) -> bool:
        """Sleep until a group is durable (batched: handed to SQLite), and with it all before it.

        Returns:
            False when the time runs out, and at once when the journal cannot write (`failure` says why). The group stays queued even then.

        Raises:
            ValueError: no group has this ticket.
        """
        if ticket > self._backlog.last:
            raise ValueError(f"there is no ticket {ticket}: the last one is {self._backlog.last}")
        return self._backlog.wait(ticket, timeout_seconds)

    @property
    def durable_ticket(self) -> int:
        """The last group that is durable (batched: handed to SQLite)."""
        return self._backlog.durable

    @property
    def failure(self) -> str | None:
        """Why it cannot write now, and what to do; None when it can."""
        return self._backlog.failure

    def read(self) -> Iterator[tuple[int, Entry]]:
        """Everything that is in the file, in order: (sequence number, entry). What is still queued is not.

        Raises:
            JournalError: it is damaged, or cannot be read.
        """
        return ((record.sequence, record.entry) for record in read_journal(self.path))

    def close(self) -> None:
        """Write what is queued, trying once, and let go of the file.

        Raises:
            JournalError: something could not be written; `lost` says how many entries.
        """
        if self._closed or self._writer is None:
            return
        self._closed = True
        self._writer.stop()
        ended, left = self._writer.join(_CLOSE_SECONDS)
        lost = sum(len(group.rows) for group in left)
        if not ended:
            raise JournalError(
                f"the disk has not answered for {_CLOSE_SECONDS:g} s; {lost} entries in {len(left)} groups may be lost",
                path=str(self.path),
                lost=lost,
            )
        if left or self.failure is not None:
            self._store.abandon()
            self._claim.release()
            what = (
                f"{lost} entries in {len(left)} groups are lost"
                if left
                else "all entries are written, but it could not be closed well"
            )
            raise JournalError(f"{what}: {self.failure}", path=str(self.path), lost=lost)
        try:
            self._store.finish()
        except FAILURES as error:
            self._store.abandon()
            raise as_journal_error(error, self.path) from error
        finally:
            self._claim.release()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _make_directory(path: Path) -> None:
    """Make a directory and those above it, each known to the one above it after a power cut."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_directory(one.parent)
