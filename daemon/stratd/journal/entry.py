"""What a journal holds: entries, and the chain of digests that shows when one is missing or changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from struct import Struct
from struct import error as StructError
from typing import Any, Final, NamedTuple

DIGEST_BYTES: Final = 16
MOST_PAYLOAD_BYTES: Final = 16 * 1024 * 1024
_FIXED: Final = Struct("<qqI")  # kind, time, bytes of the owner's name: so no two rows have the same bytes
_PLACE: Final = Struct("<qq")  # sequence, group


class Entry(NamedTuple):
    """One record, as whoever posts it sees it.

    Attributes:
        owner: the strategy's name, or "" for the session.
        kind: what the payload is; the journal does not look into it. int64.
        time: event time, int64 ns UTC.
        payload: at most 16 MiB.
    """

    owner: str
    kind: int
    time: int
    payload: bytes


class Record(NamedTuple):
    """An entry and its place: `sequence` counts entries from 1 on, `group` is the ticket under which it was posted."""

    sequence: int
    group: int
    entry: Entry


class Head(NamedTuple):
    """Where a journal ends: its last sequence number and group, and the digest over everything up to there."""

    sequence: int
    group: int
    digest: bytes


class Row(NamedTuple):
    """An entry that is known to fit the table. `fixed` are its bytes for the digest, without the payload."""

    owner: str
    kind: int
    time: int
    payload: bytes
    fixed: bytes


class BrokenChain(Exception):
    """A row is not what was written. Stays within this package, which makes a JournalError of it."""

    def __init__(self, sequence: int, reason: str) -> None:
        self.sequence = sequence
        super().__init__(f"entry {sequence} {reason}")


def row_of(entry: Entry) -> Row:
    """Check an entry in the thread that posts it: what cannot be written must not reach the queue, where it would stay for ever.

    Raises:
        TypeError, ValueError: a value does not fit the table.
    """
    owner, kind, time, payload = entry
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
    held = bytes(payload)
    if len(held) > MOST_PAYLOAD_BYTES:
        raise ValueError(f"a payload has at most {MOST_PAYLOAD_BYTES:,} bytes, this one has {len(held):,}")
    name = owner.encode()
    try:
        return Row(owner, int(kind), int(time), held, _FIXED.pack(kind, time, len(name)) + name)
    except StructError:
        raise ValueError(f"kind and time are whole numbers of 64 bits, not {kind!r} and {time!r}") from None


def first_head(session: str) -> Head:
    """The head of an empty journal. The session's name is in the chain, so it cannot be changed either."""
    return Head(0, 0, blake2b(session.encode(), digest_size=DIGEST_BYTES).digest())


def digest_of(before: bytes, sequence: int, group: int, fixed: bytes, payload: bytes) -> bytes:
    """The digest of a row, given the one before it."""
    return blake2b(b"".join((before, _PLACE.pack(sequence, group), fixed, payload)), digest_size=DIGEST_BYTES).digest()


def checked(head: Head, rows: Iterable[Any]) -> Iterator[tuple[Head, Entry]]:
    """Follow the chain through rows as `COLUMNS` of schema.py selects them, beginning after `head`.

    Raises:
        BrokenChain: a row is missing, has been changed, or is not whole.
    """
    for sequence, group, name, kind, time, payload, digest in rows:
        expected = head.sequence + 1
        if sequence != expected:
            raise BrokenChain(expected, f"is missing: {sequence!r} comes after {head.sequence}")
        try:
            same = digest_of(head.digest, sequence, group, _FIXED.pack(kind, time, len(name)) + name, payload) == digest
            entry = Entry(name.decode(), kind, time, payload)
        except (TypeError, ValueError, StructError):
            same = False
        if not same:
            raise BrokenChain(sequence, "is not what was written: its digest does not fit")
        if group not in (head.group, head.group + 1) or group < 1:
            raise BrokenChain(sequence, f"is of group {group} and comes after group {head.group}")
        head = Head(sequence, group, digest)
        yield head, entry
