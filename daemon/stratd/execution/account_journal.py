"""AccountJournal: what happens to accounts, written to the session's journal and read back."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.errors import JournalError
from stratd.journal.entry import Entry
from stratd.portfolio.cells import LAYOUT, R_COLUMNS

if TYPE_CHECKING:
    from stratd.journal.journal import Journal

# Kinds of entries.
SESSION: Final = 1  # what the session's records mean: symbols, ticks, lots, strategies
RECORDS: Final = 2  # int64[n, R_COLUMNS], see portfolio/cells.py
POINTS: Final = 3  # int64[n, 2]: time ns UTC, equity in units of money
CHECKPOINT: Final = 4  # an account's state and its strategy's, as of the end of a step
ENDED: Final = 5  # the session has come to its end
BOOK: Final = 6  # what a restart of the book goes on with, as of the end of a step (JSON)
RESET: Final = 7  # a person lets an account (the owner; "" for the book) trade again, from the next start on (JSON)

WAIT_SECONDS: Final = 30.0
_ROWS: Final = 4_096  # of one entry at most: what a busy strategy does in one window is beyond what an entry can hold
_LENGTH: Final = struct.Struct("<q")


@dataclass(slots=True)
class Past:
    """What a journal knows of one strategy's account.

    Attributes:
        records: int64[n, R_COLUMNS], of the groups up to the last checkpoint, in order.
        points: int64[n, 2], likewise.
        time: of the last checkpoint: the strategy has handled every event up to it; -1 if there is none.
        state: see `pack_state`.
    """

    records: list[NDArray[np.int64]] = field(default_factory=list)
    points: list[NDArray[np.int64]] = field(default_factory=list)
    time: int = -1
    state: bytes = b""


class AccountJournal:
    """One account's way to the journal.

    Records and points are collected; `commit` posts them with a checkpoint as one group, so that what is read back is whole steps.

    Thread safety: belongs to the strategy's thread; the journal itself may be posted to by any.

    Attributes:
        held: whether what the strategy keeps is wanted after every step (see `StepJournal`), and not only when something has happened.
    """

    __slots__ = ("_journal", "_owner", "_pending", "durable")
    held: bool = False

    def __init__(self, journal: Journal, owner: str, durable: bool) -> None:
        self._journal = journal
        self._owner = owner
        self._pending: list[Entry] = []
        self.durable = durable

    def add_records(self, records: NDArray[np.int64]) -> None:
        """Take in records that are final."""
        self._add(RECORDS, records, 1)

    def add_points(self, points: NDArray[np.int64]) -> None:
        """Take in equity points."""
        self._add(POINTS, points, 0)

    def _add(self, kind: int, rows: NDArray[np.int64], time_column: int) -> None:
        for first in range(0, len(rows), _ROWS):
            part = rows[first : first + _ROWS]
            self._pending.append(Entry(self._owner, kind, int(part[-1, time_column]), part.tobytes()))

    def commit(self, time: int, state: bytes) -> str | None:
        """Post what was collected, with a checkpoint; if durable, wait until it is on the disk.

        Returns:
            None, or why it is not durable.

        Raises:
            JournalError, ValueError: it could not be posted; what was collected is kept.
        """
        ticket = self._journal.post([*self._pending, Entry(self._owner, CHECKPOINT, time, state)])
        self._pending.clear()
        if not self.durable or self._journal.wait(ticket, WAIT_SECONDS):
            return None
        return self._journal.failure or f"the journal did not become durable within {WAIT_SECONDS:g} s"

    def hold(self, *kept: Any) -> bool:
        """Whether somebody else makes the checkpoint, later, and has taken what `Account.commit` was given for it."""
        return False

    def flush(self) -> None:
        """Post what was collected, without a checkpoint.

        Raises:
            JournalError: it could not be posted; it is kept.
        """
        if self._pending:
            self._journal.post(self._pending)
            self._pending = []


def pack_state(values: Mapping[str, Any], tables: Sequence[NDArray[Any]]) -> bytes:
    """A checkpoint's payload: JSON values, then tables' bytes."""
    text = json.dumps(
        {**values, "layout": LAYOUT, "tables": [[*table.shape] for table in tables]}, separators=(",", ":")
    ).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *(np.ascontiguousarray(table).tobytes() for table in tables)])


def unpack_state(payload: bytes) -> tuple[dict[str, Any], list[NDArray[np.int64]]]:
    """What `pack_state` packed; tables as int64, whatever they were.

    Raises:
        JournalError: it is no checkpoint.
    """
    try:
        (length,) = _LENGTH.unpack_from(payload)
        values = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        layout = values.pop("layout", 1)
        at = _LENGTH.size + length
        tables = []
        for shape in values.pop("tables"):
            size = int(np.prod(shape))
            tables.append(np.frombuffer(payload, np.int64, size, at).reshape(shape).copy())
            at += 8 * size
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise JournalError(f"a checkpoint cannot be read ({error}); run: stratd journal verify") from error
    if layout != LAYOUT:
        raise JournalError(
            f"a checkpoint has layout {layout}, and this stratd reads {LAYOUT}: end the run with the stratd that began it, or move the "
            "journal away to begin a new one"
        )
    return values, tables


def read_past(entries: Iterable[tuple[int, Entry]]) -> tuple[dict[str, Any] | None, dict[str, Past]]:
    """What a journal knows: the session's description, and each strategy's past up to its last checkpoint.

    Records behind a strategy's last checkpoint belong to a step that was never finished: the strategy takes that step again.
    """
    session: dict[str, Any] | None = None
    pasts: dict[str, Past] = {}
    behind: dict[str, Past] = {}
    for _, entry in entries:
        if entry.kind == SESSION:
            session = json.loads(entry.payload)
            continue
        if entry.kind == ENDED:
            session = {**(session or {}), "ended": True}
            continue
        past, tail = pasts.setdefault(entry.owner, Past()), behind.setdefault(entry.owner, Past())
        if entry.kind == RECORDS:
            tail.records.append(np.frombuffer(entry.payload, np.int64).reshape(-1, R_COLUMNS))
        elif entry.kind == POINTS:
            tail.points.append(np.frombuffer(entry.payload, np.int64).reshape(-1, 2))
        elif entry.kind == CHECKPOINT:
            past.records += tail.records
            past.points += tail.points
            behind[entry.owner] = Past()
            past.time, past.state = entry.time, entry.payload
    return session, pasts
