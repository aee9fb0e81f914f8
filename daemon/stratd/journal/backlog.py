"""Backlog: what has been posted and is not written yet, and who waits for it."""

from __future__ import annotations

from _thread import LockType, allocate_lock
from threading import TIMEOUT_MAX
from typing import NamedTuple

from stratd.core.parking import Parker
from stratd.journal.entry import Row


class Group(NamedTuple):
    """What was posted at once. `size` is about its bytes in memory."""

    ticket: int
    rows: list[Row]
    size: int


class Backlog:
    """Groups in the order of their tickets, on their way to the journal's thread.

    Each waiter sleeps on a raw lock of its own: a `Parker` has one waiter and a condition, here any number of threads wait for
    different tickets, and after a commit exactly those are woken whose ticket is written.

    Thread safety: any thread posts and waits; `take`, `written` and `fail` are the journal's thread's. `_lock` guards everything;
    it is held for some list operations and never while anybody waits or writes. `durable` only grows, so it may be read without.

    Attributes:
        writer: where the journal's thread sleeps.
        last: the last ticket given out.
        durable: the last ticket that is written.
        failure: why nothing can be written now; None while it can.
        closing: nothing more will be posted.
    """

    def __init__(self, batch_bytes: int, bound_bytes: int) -> None:
        """
        Args:
            batch_bytes: 0 wakes the journal's thread for every post, else when this much has come together.
            bound_bytes: beyond it `post` waits, for as long as the journal can write; 0 never waits.
        """
        self.writer = Parker()
        self.last = self.durable = 0
        self.failure: str | None = None
        self.closing = False
        self._batch_bytes = batch_bytes
        self._bound_bytes = bound_bytes
        self._lock = allocate_lock()
        self._posted: list[Group] = []
        self._bytes = 0  # posted and not written
        self._fresh_bytes = 0  # posted and not taken
        self._hurry = False
        self._ended = False
        self._waiters: list[tuple[int, LockType]] = []
        self._without_room: list[LockType] = []

    def start_at(self, ticket: int) -> None:
        """Say what the file held when it was opened."""
        self.last = self.durable = ticket

    def post(self, rows: list[Row], size: int) -> int | None:
        """Queue a group.

        Returns:
            Its ticket. None after `close`, and where there is no room for it and nothing can be written that would make some.
        """
        while True:
            with self._lock:
                if self.closing:
                    return None
                if self._has_room():
                    ticket = self.last = self.last + 1
                    first = not self._posted
                    self._posted.append(Group(ticket, rows, size))
                    self._bytes += size
                    self._fresh_bytes += size
                    # A batch is worth a wake-up when it begins and when it is full.
                    wake = first or self._fresh_bytes >= self._batch_bytes
                    break
                if self.failure is not None:
                    return None
                room = allocate_lock()
                room.acquire()
                self._without_room.append(room)
            room.acquire()
        if wake:
            self.writer.wake()
        return ticket

    def wait(self, ticket: int, timeout_seconds: float | None) -> bool:
        """Sleep until a ticket is written; False when the time runs out or nothing can be written."""
        if ticket <= self.durable:
            return True
        woken = allocate_lock()
        woken.acquire()
        with self._lock:
            if ticket <= self.durable:
                return True
            if self.failure is not None or self._ended:
                return False
            self._waiters.append((ticket, woken))
            self._hurry = True
        if self._batch_bytes:
            self.writer.wake()
        if not woken.acquire(True, -1 if timeout_seconds is None else min(max(0.0, timeout_seconds), TIMEOUT_MAX)):
            with self._lock:
                self._waiters = [waiter for waiter in self._waiters if waiter[1] is not woken]
        return ticket <= self.durable

    def something(self) -> bool:
        """Whether there is something to do for the journal's thread."""
        return bool(self._posted) or self.closing

    def something_posted(self) -> bool:
        """Whether something has been posted that has not been taken."""
        return bool(self._posted)

    def enough(self) -> bool:
        """Whether a batch is full, or somebody waits for what is there."""
        return self._fresh_bytes >= self._batch_bytes or self._hurry or self.closing

    def take(self) -> list[Group]:
        """Everything that has been posted since the last call."""
        with self._lock:
            taken, self._posted = self._posted, []
            self._fresh_bytes = 0
            self._hurry = False
        return taken

    def written(self, groups: list[Group]) -> None:
        """Say that groups are in the file, and wake who waits for them."""
        with self._lock:
            self.failure = None
            if groups:
                self.durable = groups[-1].ticket
                self._bytes -= sum(group.size for group in groups)
            self._wake()

    def fail(self, reason: str) -> None:
        """Say that nothing can be written; who waits, for a ticket or for room, is told at once. What was posted stays."""
        with self._lock:
            self.failure = reason
            self._wake()

    def close(self) -> None:
        """Take no more posts."""
        with self._lock:
            self.closing = True
            self._wake()
        self.writer.wake()

    def end(self) -> None:
        """Say that the journal's thread has ended: nobody would wake those who wait."""
        with self._lock:
            self.closing = self._ended = True
            self._wake()

    def _has_room(self) -> bool:
        return not self._bound_bytes or self._bytes < self._bound_bytes

    def _wake(self) -> None:
        durable = self.durable
        everybody = self.failure is not None or self._ended
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if everybody or waiter[0] <= durable:
                waiter[1].release()
            else:
                self._waiters.append(waiter)
        if self._without_room and (self.closing or self.failure is not None or self._has_room()):
            rooms, self._without_room = self._without_room, []
            for room in rooms:
                room.release()
