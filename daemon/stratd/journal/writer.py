"""Writer: the journal's thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from stratd.journal.backlog import Backlog, Group
from stratd.journal.reasons import FAILURES, Failure, leaves_no_doubt, reason_of
from stratd.journal.store import Store

BATCH_BYTES: Final = 1024 * 1024  # of a transaction that nobody waits for
_TRANSACTION_BYTES: Final = 4 * 1024 * 1024
_LINGER_SECONDS: Final = 0.25
_IDLE_SECONDS: Final = 0.25
_MERGE_BYTES: Final = 16 * 1024 * 1024
_FIRST_DELAY_SECONDS: Final = 0.1
_LAST_DELAY_SECONDS: Final = 10.0


class Writer:
    """Takes everything that is queued, writes it as one transaction, wakes those who wait for it, and again.

    Bringing the log into the file (a checkpoint) takes some milliseconds, which a wait may meet. So it is done when nothing has come for a quarter of a
    second; else when the log has grown by 16 MiB, which is about one commit in 4,000.

    What cannot be written stays, in order, and is tried again after 0.1 s, 0.2 s, and so on up to 10 s.

    Thread safety: everything here is the thread's, apart from `stop` and `join`.
    """

    def __init__(self, store: Store, backlog: Backlog, batched: bool, on_failure: Callable[[str], None]) -> None:
        self._store = store
        self._backlog = backlog
        self._batched = batched
        self._on_failure = on_failure
        self._left: deque[Group] = deque()
        self._in_doubt = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, trying once, and end."""
        self._backlog.close()
        self._stopping.set()

    def join(self, timeout_seconds: float) -> tuple[bool, list[Group]]:
        """Wait for the end. Returns whether it came, and the groups that are not written."""
        self._thread.join(timeout_seconds)
        ended = not self._thread.is_alive()
        return ended, [*list(self._left), *self._backlog.take()]

    def _run(self) -> None:
        ended = "by itself"
        try:
            while self._next():
                pass
            ended = ""
        except BaseException as error:
            ended = f"with {type(error).__name__}: {error}"
            raise
        finally:
            # Whoever waits has to be told, whatever it was.
            if ended:
                self._fail(f"the journal's thread has ended {ended}; nothing more is written: stop, and start again")
            self._backlog.end()

    def _next(self) -> bool:
        """One transaction, or one checkpoint. False at the end."""
        backlog = self._backlog
        if not backlog.writer.wait(backlog.something, _IDLE_SECONDS if self._store.unmerged_bytes else -1):
            return self._attempt(self._store.checkpoint)
        if self._batched:
            backlog.writer.wait(backlog.enough, _LINGER_SECONDS)
        self._left.extend(backlog.take())
        while self._left:
            if not self._attempt(self._write):
                return False
        if self._store.unmerged_bytes >= _MERGE_BYTES:
            self._attempt(self._store.checkpoint)
        return not backlog.closing or backlog.something_posted()

    def _write(self) -> None:
        groups: list[Group] = []
        size = 0
        for group in self._left:
            if groups and size + group.size > _TRANSACTION_BYTES:
                break
            groups.append(group)
            size += group.size
        self._store.write(groups)
        self._done(len(groups))

    def _done(self, count: int) -> None:
        self._backlog.written([self._left.popleft() for _ in range(count)])

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Do something until it succeeds. False if it did not, and the end has come."""
        delay = _FIRST_DELAY_SECONDS
        while True:
            last = self._stopping.is_set()
            try:
                if self._in_doubt:
                    self._recover()
                if work != self._write or self._left:  # what was to be written may turn out to be there
                    work()
            except FAILURES as error:
                self._failed(error)
            else:
                if self._backlog.failure is not None:
                    self._backlog.written([])
                return True
            if last:
                return False
            # An event and not the Parker: a post must not begin the wait anew.
            self._stopping.wait(delay)
            delay = min(2 * delay, _LAST_DELAY_SECONDS)

    def _recover(self) -> None:
        self._store.recover()
        self._in_doubt = False
        self._done(sum(group.ticket <= self._store.head.group for group in self._left))

    def _failed(self, error: Failure) -> None:
        if not self._in_doubt:
            self._in_doubt = not leaves_no_doubt(error)
            try:
                self._store.rollback()
            except FAILURES:
                self._in_doubt = True
        self._fail(reason_of(error))

    def _fail(self, reason: str) -> None:
        first = self._backlog.failure is None
        text = f"{self._store.path}: cannot write: {reason}. What is posted waits in memory, and is tried again"
        self._backlog.fail(text)
        if first:
            # In a thread of its own: it may close the journal, take long or raise, and writing must go on.
            threading.Thread(target=self._on_failure, args=(text,), name="journal-failure", daemon=True).start()
