"""What a journal says, line by line: read as it was written, decoded, and put in words."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.clock import utc_text
from stratd.errors import JournalError
from stratd.execution import account_journal as aj
from stratd.execution import records as r
from stratd.execution.resets import unpack_reset
from stratd.execution.session_past import unpack_book
from stratd.journal.entry import Record
from stratd.journal.reader import read_journal
from stratd.model import MONEY, Instrument, Trade
from stratd.portfolio import cells as c

RECORD_KINDS: Final = {
    "orders": c.INTENT,
    "fills": c.FILL,
    "ended": c.ENDED,
    "trades": c.TRADE,
    "refused": c.REFUSED,
    "cancels": c.CANCEL,
    "amendments": c.AMEND,
    "charges": c.CHARGE,
    "risk": c.RISK,
}
ENTRY_KINDS: Final = {
    "resets": aj.RESET, "equity": aj.POINTS, "checkpoints": aj.CHECKPOINT, "book": aj.BOOK, "session": aj.SESSION,
}  # fmt: skip
KINDS: Final = (*RECORD_KINDS, *ENTRY_KINDS)
USUAL: Final = (*RECORD_KINDS, "resets", "session")
"""What is shown where nothing else is asked for: one equity point for each bar, and a checkpoint for each decision, would hide the rest."""

_BY_NUMBER: Final = {number: kind for kind, number in RECORD_KINDS.items()}
_OF_STEPS: Final = {aj.RESET: "resets", aj.BOOK: "book"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the numbers of a journal mean: its first entry, and one for each start with other rules.

    Attributes:
        capital: of each strategy, in its currency.
        changed: rules that are not what they were before, in words.
    """

    session: str
    symbols: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    capital: Mapping[str, float] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was recorded. `values` are plain, by name; times in them are ns UTC."""

    sequence: int
    time: int
    strategy: str
    kind: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are asked for: of these kinds, of one strategy ("" for all), with since <= time < until."""

    kinds: Collection[str] = USUAL
    strategy: str = ""
    since: int = -(2**63)
    until: int = 2**63 - 1


@dataclass(slots=True)
class JournalLines:
    """The lines of a journal, in the order in which they were written.

    Attributes:
        owners: strategies that have come so far.
        terms: once the first entry has been read.
    """

    path: Path
    owners: dict[str, None] = field(default_factory=dict)
    terms: Terms | None = None
    _decoders: dict[str, r.Decoder] = field(default_factory=dict)

    def all(self, wanted: Wanted) -> Iterator[Line]:
        """Every line that is asked for.

        Raises:
            JournalError: it is no journal, it is damaged (the lines before have been given), or another version has written it.
        """
        for raw in self._raw(wanted):
            yield self._line(*raw)

    def newest(self, wanted: Wanted, limit: int | None) -> tuple[list[Line], int]:
        """The last `limit` lines that are asked for (None: all), and how many were left out before them.

        Raises:
            JournalError: see `all`.
        """
        kept: deque[tuple[Record, str, NDArray[np.int64]]] = deque(maxlen=limit)
        count = 0
        for raw in self._raw(wanted):
            count += 1
            kept.append(raw)
        return [self._line(*raw) for raw in kept], count - len(kept)

    def _raw(self, wanted: Wanted) -> Iterator[tuple[Record, str, NDArray[np.int64]]]:
        """What is asked for, not decoded yet: the entry, its kind, and the row of its table that is meant."""
        numbers = [RECORD_KINDS[kind] for kind in RECORD_KINDS if kind in wanted.kinds]
        nothing = np.zeros(0, np.int64)
        for record in read_journal(self.path):
            entry = record.entry
            if entry.owner:
                self.owners[entry.owner] = None
            if entry.kind == aj.SESSION:
                self.terms = terms_of(record, self.path)
            if wanted.strategy and entry.owner != wanted.strategy:
                continue
            if entry.kind == aj.RECORDS and numbers:
                rows = table_of(record, c.R_COLUMNS, self.path)
                times = rows[:, c.R_TIME]
                asked = np.isin(rows[:, c.R_KIND], numbers) & (times >= wanted.since) & (times < wanted.until)
                yield from ((record, _BY_NUMBER[int(row[c.R_KIND])], row) for row in rows[asked])
            elif entry.kind == aj.POINTS and "equity" in wanted.kinds:
                rows = table_of(record, 2, self.path)
                asked = (rows[:, 0] >= wanted.since) & (rows[:, 0] < wanted.until)
                yield from ((record, "equity", row) for row in rows[asked])
            elif entry.kind == aj.CHECKPOINT and "checkpoints" in wanted.kinds:
                if wanted.since <= entry.time < wanted.until:
                    yield record, "checkpoints", nothing
            elif entry.kind in _OF_STEPS and _OF_STEPS[entry.kind] in wanted.kinds:
                if wanted.since <= entry.time < wanted.until:
                    yield record, _OF_STEPS[entry.kind], nothing
            elif entry.kind in (aj.SESSION, aj.ENDED) and "session" in wanted.kinds:
                yield record, "session", nothing

    def _line(self, record: Record, kind: str, row: NDArray[np.int64]) -> Line:
        entry = record.entry
        if self.terms is None:
            raise not_understood(record, self.path, "no entry before it says what its symbols are")
        if kind == "session":
            ended = entry.kind == aj.ENDED
            values: dict[str, Any] = (
                {"ended": True} if ended else {"name": self.terms.session, "symbols": list(self.terms.symbols)}
            )
            if not ended and (changed := terms_of(record, self.path).changed):
                values["changed"] = list(changed)
            return Line(record.sequence, entry.time, "", kind, values)
        if kind == "resets":
            asked = unpack_reset(entry.payload)
            values = {
                "of_book": not entry.owner,
                "state": asked.state,
                "by": asked.by,
                "asked_time": asked.at,
                "reason": asked.reason,
            }
            return Line(record.sequence, entry.time, entry.owner, kind, values)
        if kind == "book":
            return Line(record.sequence, entry.time, "", kind, _book(unpack_book(entry.payload)))
        if kind == "equity":
            return Line(record.sequence, int(row[0]), entry.owner, kind, {"equity": int(row[1]) / MONEY})
        try:
            if kind == "checkpoints":
                return Line(record.sequence, entry.time, entry.owner, kind, self._checkpoint(entry.payload))
            event = self._decoder(entry.owner).one(np.ascontiguousarray(row))
        except (IndexError, KeyError, ValueError) as error:
            raise not_understood(record, self.path, f"{type(error).__name__}: {error}") from error
        return Line(record.sequence, int(row[c.R_TIME]), entry.owner, kind, plain(event))

    def _decoder(self, owner: str) -> r.Decoder:
        assert self.terms is not None  # asked before
        if owner not in self._decoders:
            self._decoders[owner] = r.Decoder(f"{self.terms.session}-{owner}", self.terms.symbols, self.terms.instruments)
        return self._decoders[owner]

    def _checkpoint(self, payload: bytes) -> dict[str, Any]:
        assert self.terms is not None  # asked before
        _, (cells, orders, _, positions, *_) = aj.unpack_state(payload)
        held = {
            self.terms.symbols[int(row[c.P_SYMBOL])]: r.units(
                int(row[c.P_LOTS]), self.terms.instruments[int(row[c.P_SYMBOL])].lot
            )
            for row in positions
            if row[c.P_LOTS]
        }
        return {
            "cash": int(cells[c.C_CASH]) / MONEY,
            "equity": int(cells[c.C_CASH] + cells[c.C_VALUE]) / MONEY,
            "positions": held,
            "working_orders": sum(int(row[c.O_STATE]) <= c.PARTIAL for row in orders),
            "trading_state": str(r.TRADING_STATES[int(cells[c.C_STATE])]),
        }


def _book(saved: dict[str, Any]) -> dict[str, Any]:
    """What an entry of the book says, in plain values."""
    numbers, strikes = saved["monitor"], saved["strikes"]
    return {
        "equity": numbers["equity"] / MONEY,
        "peak": numbers["peak"] / MONEY,
        "trading_state": str(r.TRADING_STATES[numbers["state"]]),
        "limit": r.RISK_REASONS[strikes[-1][1]] if strikes else None,
        "approved": saved["approved"],
        "refused": saved["refused"],
        "crossed_lots": saved["crossed"],
    }


def terms_of(record: Record, path: Path) -> Terms:
    """What the first entry of a journal says.

    Raises:
        JournalError: it says something else.
    """
    try:
        about = json.loads(record.entry.payload)
        listed = zip(about["symbols"], about["ticks"], about["lots"], strict=True)
        instruments = tuple(Instrument(symbol, tick=tick, lot=lot) for symbol, tick, lot in listed)
        capital = {str(name): float(amount) for name, amount in about.get("capital", {}).items()}
        return Terms(str(about["session"]), tuple(about["symbols"]), instruments, capital, tuple(about.get("changed", ())))
    except (ValueError, KeyError, TypeError) as error:
        raise not_understood(record, path, f"{type(error).__name__}: {error}") from error


def table_of(record: Record, columns: int, path: Path) -> NDArray[np.int64]:
    """An entry's payload as int64[n, columns].

    Raises:
        JournalError: it is none.
    """
    try:
        return np.frombuffer(record.entry.payload, np.int64).reshape(-1, columns)
    except ValueError as error:
        raise not_understood(record, path, str(error)) from error


def not_understood(record: Record, path: Path, why: str) -> JournalError:
    """An entry is what was written, but this version cannot make sense of it."""
    return JournalError(
        f"entry {record.sequence} cannot be understood ({why}); look at it with the version of stratd that wrote it",
        path=str(path),
    )


def plain(event: r.Event) -> dict[str, Any]:
    """An event's values by name, without its time."""
    if isinstance(event, r.Intent):
        return _values(event.order, leave_out=("state", "filled", "created_time", "reason"))
    return _values(event, leave_out=("exit_time",) if isinstance(event, Trade) else ("time",))


def _values(item: Any, leave_out: Collection[str]) -> dict[str, Any]:
    assert is_dataclass(item)  # all events are
    return {one.name: _plain(getattr(item, one.name)) for one in fields(item) if one.name not in leave_out}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def with_times(values: dict[str, Any]) -> dict[str, Any]:
    """The same for JSON and CSV: times as text."""
    return {name: utc_text(value) if name.endswith("_time") else value for name, value in values.items()}
