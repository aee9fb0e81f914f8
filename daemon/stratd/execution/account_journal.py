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
from stratd.portfolio.cells import R_COLUMNS

if TYPE_CHECKING:
    from stratd.journal.journal import Journal

# Kinds of entries.
SESSION: Final = 1  # what the session's records mean: symbols, ticks, lots, strategies
RECORDS: Final = 2  # int64[n, R_COLUMNS], see portfolio/cells.py
POINTS: Final = 3  # int64[n, 2]: time ns UTC, equity in units of money
CHECKPOINT: Final = 4  # an account's state and its strategy's, as of the end of a step
ENDED: Final = 5  # the session has come to its end
KIND_NAMES: Final = {SESSION: "session", RECORDS: "records", POINTS: "points", CHECKPOINT: "checkpoint", ENDED: "ended"}

WAIT_SECONDS: Final = 30.0
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
    """

    __slots__ = ("_journal", "_owner", "_pending", "durable")

    def __init__(self, journal: Journal, owner: str, durable: bool) -> None:
        self._journal = journal
        self._owner = owner
        self._pending: list[Entry] = []
        self.durable = durable

    def add_records(self, records: NDArray[np.int64]) -> None:
        """Take in records that are final."""
        self._pending.append(Entry(self._owner, RECORDS, int(records[-1, 1]), records.tobytes()))

    def add_points(self, points: NDArray[np.int64]) -> None:
        """Take in equity points."""
        self._pending.append(Entry(self._owner, POINTS, int(points[-1, 0]), points.tobytes()))

    def commit(self, time: int, state: bytes) -> str | None:
        """Post what was collected, with a checkpoint; if durable, wait until it is on the disk.

        Returns:
            None, or why it is not durable.
        """
        entries = [*self._pending, Entry(self._owner, CHECKPOINT, time, state)]
        self._pending.clear()
        ticket = self._journal.post(entries)
        if not self.durable or self._journal.wait(ticket, WAIT_SECONDS):
            return None
        return self._journal.failure or f"the journal did not become durable within {WAIT_SECONDS:g} s"

    def flush(self) -> None:
        """Post what was collected, without a checkpoint."""
        if self._pending:
            self._journal.post(self._pending)
            self._pending = []


def pack_state(values: Mapping[str, Any], tables: Sequence[NDArray[Any]]) -> bytes:
    """A checkpoint's payload: JSON values, then tables' bytes."""
    text = json.dumps({**values, "tables": [[*table.shape] for table in tables]}, separators=(",", ":")).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *(np.ascontiguousarray(table).tobytes() for table in tables)])


def unpack_state(payload: bytes) -> tuple[dict[str, Any], list[NDArray[np.int64]]]:
    """What `pack_state` packed; tables as int64, whatever they were.

    Raises:
        JournalError: it is no checkpoint.
    """
    try:
        (length,) = _LENGTH.unpack_from(payload)
        values = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        at = _LENGTH.size + length
        tables = []
        for shape in values.pop("tables"):
            size = int(np.prod(shape))
            tables.append(np.frombuffer(payload, np.int64, size, at).reshape(shape).copy())
            at += 8 * size
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise JournalError(f"a checkpoint cannot be read ({error}); run: stratd journal verify") from error
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
