"""SessionPast: what a journal knows of a session that is gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stratd.errors import JournalError
from stratd.execution.account_journal import BOOK, CHECKPOINT, RESET, Past, read_past, unpack_state
from stratd.execution.records import RISK_REASONS, TRADING_STATES
from stratd.execution.resets import Reset, unpack_reset
from stratd.journal.entry import Entry
from stratd.model import TradingState
from stratd.portfolio.cells import C_SOLD_OUT, C_STATE


@dataclass(slots=True)
class SessionPast:
    """What a journal knows.

    Attributes:
        about: the newest description of the session; None where there is none.
        pasts: by strategy.
        book: what the book goes on with; None where there was none.
        book_time: close time of the step after which that was so, ns UTC; -1 if there is none.
        resets: what a person has asked for since the last checkpoint of a strategy, by its name; "" is the book.
    """

    about: dict[str, Any] | None = None
    pasts: dict[str, Past] = field(default_factory=dict)
    book: dict[str, Any] | None = None
    book_time: int = -1
    resets: dict[str, Reset] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the session has come to its end, so that nothing is gone on with."""
        return bool((self.about or {}).get("ended"))

    @property
    def durable(self) -> bool:
        """Whether it was a run, and not a backtest."""
        return bool((self.about or {}).get("durable"))


def read_session(entries: Iterable[tuple[int, Entry]]) -> SessionPast:
    """Read a journal's entries, in order.

    Raises:
        JournalError: one of them is not what it should be.
    """
    found = SessionPast()
    book = b""

    def of_strategies() -> Iterator[tuple[int, Entry]]:
        nonlocal book
        for number, entry in entries:
            if entry.kind == BOOK:
                book, found.book_time = entry.payload, entry.time
                found.resets.pop("", None)
            elif entry.kind == RESET:
                found.resets[entry.owner] = unpack_reset(entry.payload)
            else:
                if entry.kind == CHECKPOINT:
                    found.resets.pop(entry.owner, None)
                yield number, entry

    found.about, found.pasts = read_past(of_strategies())
    if found.book_time >= 0:
        found.book = unpack_book(book)
    return found


def pack_book(values: Mapping[str, Any]) -> bytes:
    """The payload of a book's entry."""
    return json.dumps(values, separators=(",", ":")).encode()


def unpack_book(payload: bytes) -> dict[str, Any]:
    """What `pack_book` packed.

    Raises:
        JournalError: it is no book's, or a newer stratd has written it.
    """
    try:
        values = json.loads(payload)
        if values["version"] != 1:
            raise ValueError(f"version {values['version']}")
        return dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"what the book goes on with cannot be read ({error}); run: stratd journal verify") from error


def stopped_by(past: Past) -> tuple[TradingState, str, int]:
    """An account's trading state at its last checkpoint, what led to it in words ("" where nothing did), and its code.

    Raises:
        JournalError: the checkpoint cannot be read.
    """
    if past.time < 0:
        return TradingState.ACTIVE, "", 0
    _, (cells, *_) = unpack_state(past.state)
    state, reason = TRADING_STATES[int(cells[C_STATE])], int(cells[C_SOLD_OUT])
    return state, "" if state is TradingState.ACTIVE else RISK_REASONS.get(reason, ""), reason
