"""BookJournal: what happens to the accounts of a book, and to the book, written as one group at the end of each step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from stratd.errors import JournalError
from stratd.execution.account import Account
from stratd.execution.account_journal import BOOK, CHECKPOINT, WAIT_SECONDS, AccountJournal
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.portfolio.cells import C_RECORDS, X_AHEAD, X_TAKEN


class Reader(Protocol):
    """The part of a strategy's subscription that tells whether anybody still waits for it."""

    detached: bool


class StepJournal(AccountJournal):
    """The way to the journal of an account that a book works on at the end of each step: it hands over, and posts nothing itself.

    A checkpoint that was made when the strategy is through a step would not hold what the book then does with its orders. So the
    strategy's thread only leaves what the strategy keeps, and the data-processor makes the checkpoint when all is settled.

    Thread safety: as the account, whose it is. A strategy that nobody waits for any more makes its last checkpoint itself, and
    leaves it in `finals`, where it is taken by the data-processor, or at the session's end.

    Attributes:
        kept: what `Account.commit` is given besides the time: what the strategy keeps, as of its last event; None before the first.
        untold: records that the last checkpoint holds because the strategy is still to be told of them.
        finals: groups of entries that are ready.
    """

    __slots__ = ("_collected", "_reader", "finals", "kept", "untold")
    held = True

    def __init__(self, journal: Journal, owner: str, reader: Reader) -> None:
        super().__init__(journal, owner, True)
        self.kept: tuple[Any, ...] | None = None
        self.untold = 0
        self.finals: deque[list[Entry]] = deque()
        self._reader = reader
        self._collected: list[Entry] | None = None

    def begin(self, kept: tuple[Any, ...], untold: int) -> None:
        """Go on with what a checkpoint holds."""
        self.kept, self.untold = kept, untold

    def hold(self, *kept: Any) -> bool:
        """Take what the strategy keeps. False where the account itself is to make the checkpoint."""
        if self._collected is not None or self._reader.detached:
            return False
        self.kept = kept
        return True

    def commit(self, time: int, state: bytes) -> str | None:
        """Have a checkpoint, with the records and points before it, ready to be posted with the book's."""
        group = [*self._pending, Entry(self._owner, CHECKPOINT, time, state)]
        self._pending.clear()
        if self._collected is None:
            self.finals.append(group)
        else:
            self._collected += group
        return None

    def has_news(self, account: Account) -> bool:
        """Whether something has happened since the last checkpoint."""
        return bool(self._pending) or _untold(account) != self.untold

    def collect(self, account: Account, time: int) -> list[Entry]:
        """Everything so far, with a checkpoint: the strategy has handled every event up to `time`, and what came of them is settled."""
        assert self.kept is not None  # asked before
        assert not account.cells.item(X_AHEAD)  # its window is closed
        collected: list[Entry] = []
        self._collected = collected
        try:
            account.commit(time, *self.kept)
        finally:
            self._collected = None
        self.untold = _untold(account)
        return collected


def _untold(account: Account) -> int:
    return account.cells.item(C_RECORDS) - account.cells.item(X_TAKEN)


class BookJournal:
    """Writes the accounts of a book and the book itself in one group, so that a restart finds all of them at the end of one step.

    Accounts to which nothing has happened since their last checkpoint come to the same state again from there, because no other
    strategy has a say in it; so only those are written to which something has.

    Thread safety: belongs to the data-processor, as the book does; before and after the session, to whoever runs it.

    Args:
        parts: each account with its way to the journal, in the session's order.
    """

    def __init__(self, journal: Journal, parts: Sequence[tuple[Account, StepJournal]], readers: Sequence[Reader]) -> None:
        self._journal = journal
        self._parts = tuple(zip(parts, readers, strict=True))

    def commit(self, time: int, book: Callable[[], bytes], *, changed: bool) -> str | None:
        """A step is settled: have all that is new on the disk before the next one is published.

        Args:
            time: close time of the step, ns UTC.
            book: gives what a restart of the book needs; called where something is written.
            changed: whether the book has something to write even if no account has.

        Returns:
            None, or why it is not durable.
        """
        entries = self._finals()
        for (account, part), reader in self._parts:
            # What has never been given an event has decided nothing; what the book imposed on it is known from the book.
            if account.active and not reader.detached and part.kept is not None and part.has_news(account):
                entries += part.collect(account, time)
        if not entries and not changed:
            return None
        return self.post([*entries, Entry("", BOOK, time, book())])

    def post(self, entries: Sequence[Entry]) -> str | None:
        """Write one group, and wait until it is on the disk. Returns None, or why it is not."""
        try:
            ticket = self._journal.post(entries)
        except (JournalError, ValueError) as error:  # closed, or an entry is beyond what the journal can hold
            return str(error)
        if self._journal.wait(ticket, WAIT_SECONDS):
            return None
        return self._journal.failure or f"the journal did not become durable within {WAIT_SECONDS:g} s"

    def close(self, time: int, book: bytes) -> None:
        """The session is over: queue the last checkpoints of all strategies, as one group with the book's."""
        self._journal.post([*self._finals(), Entry("", BOOK, time, book)])

    def _finals(self) -> list[Entry]:
        entries: list[Entry] = []
        for (_, part), _ in self._parts:
            while part.finals:
                entries += part.finals.popleft()
        return entries
