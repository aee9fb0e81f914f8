"""A session that trades all the time, and what is left of it: its result and its journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from stratd.errors import JournalError
from stratd.execution.account_journal import CHECKPOINT, ENDED, POINTS, RECORDS, unpack_state
from stratd.execution.records import Decoder, Event, Intent
from stratd.journal.reader import read_journal
from stratd.model import MINUTE_NS, Fill, Instrument
from stratd.portfolio.cells import R_COLUMNS
from stratd.testing.bars import BarRow, nanoseconds, write_csv
from tests.support.replays import entry, session

NAME: Final = "replay"
CLASSES: Final = {"bracketeer": "Bracketeer", "fives": "Fives", "listener": "Listener", "plain": "Plain"}
SYMBOLS: Final = (
    {"symbol": "AAA", "tick": 0.01},
    {"symbol": "BBB", "tick": 0.05, "lot": 0.1},
    {"symbol": "CCC", "calendar": "XNYS"},
)
INSTRUMENTS: Final = (
    Instrument("AAA", tick=0.01),
    Instrument("BBB", tick=0.05, lot=0.1),
    Instrument("CCC", tick=0.01, calendar="XNYS"),
)
ACCOUNT: Final = {
    "latency_seconds": 20.0, "participation": 0.3, "leverage": 2.0, "borrow_rate": 0.03, "financing_rate": 0.05, "seed": 5,
    "slippage": {"bps": 1.0, "random_bps": 2.0},
    "commission": {"per_share": 0.005, "minimum": 0.2, "taker_bps": 0.5},
    "risk": {"max_orders_per_minute": 6, "daily_loss_fraction": 0.2, "consecutive_losses": 40},
}  # fmt: skip


def walks(minutes: int, start: str = "2024-01-03T19:00") -> list[BarRow]:
    """A walk of each symbol, minute after minute, with some absent; CCC while its exchange is open."""
    rows = []
    for number, one in enumerate(INSTRUMENTS):
        random = np.random.default_rng(number + 1)
        assert one.tick is not None
        price = round((40.0, 90.0, 25.0)[number] / one.tick)
        for minute in range(minutes):
            time = nanoseconds(start) + minute * MINUTE_NS
            of_day = time // MINUTE_NS % 1440
            if (one.calendar == "XNYS" and not 870 <= of_day < 1260) or random.random() < 0.05:
                continue
            open_ = price + int(random.integers(-2, 3))
            price = max(200, open_ + int(random.integers(-6, 7)))
            high, low = max(open_, price) + int(random.integers(0, 4)), min(open_, price) - int(random.integers(0, 4))
            o, h, low_, c = (round(ticks * one.tick, 6) for ticks in (open_, high, low, price))
            rows.append(BarRow(one.symbol, time, o, h, low_, c, float(random.integers(5, 90))))
    return rows


def write_session(directory: Path, minutes: int, names: Iterable[str] = CLASSES, **more: Any) -> Path:
    """A session file with its bars beside it. What is in `more` replaces what the session says."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = walks(minutes)
    for one in INSTRUMENTS:
        write_csv(directory / f"{one.symbol}.csv", [row for row in rows if row.symbol == one.symbol])
    strategies = [entry("crash_troupe", CLASSES.get(name, name.title()), name) for name in names]
    own = {"bracketeer": {"lots": "fifo", "at_end": "close"}, "listener": {"fill": "close"}}
    for strategy in strategies:
        strategy["account"] = own.get(strategy["name"], {})
    config = session(SYMBOLS, [5], strategies, tick=0.01, account=ACCOUNT, history_bars=50)
    config["feed"] = {"path": ".", "pattern": "{symbol}.csv"}
    file = directory / "session.json"
    file.write_text(json.dumps(config | more))
    return file


def journal_of(results: Path) -> Path:
    return results / NAME / "journal.sqlite3"


@dataclass
class Owned:
    """What a journal holds of one strategy: every entry that is there, in order, whether it counts or not."""

    records: list[np.ndarray[Any, Any]] = field(default_factory=list)
    points: list[np.ndarray[Any, Any]] = field(default_factory=list)
    checkpoints: int = 0
    time: int = -1
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> list[bytes]:
        return [row.tobytes() for rows in self.records for row in rows]

    @property
    def events(self) -> list[Event]:
        decoder = Decoder(NAME, [one.symbol for one in INSTRUMENTS], INSTRUMENTS)
        return [event for records in self.records for event in decoder.decode(records)]


@dataclass
class Kept:
    """A journal."""

    owners: dict[str, Owned]
    ended: bool

    def essence(self) -> dict[str, Any]:
        """What must be the same however often the session was killed."""
        return {
            name: {
                "records": one.rows,
                "points": [row.tobytes() for rows in one.points for row in rows],
                "state": one.state,
            }
            for name, one in self.owners.items()
        }


def read(path: Path) -> Kept:
    """Everything that a journal holds; nothing if there is none yet."""
    kept = Kept({}, False)
    try:
        records = list(read_journal(path))
    except (JournalError, FileNotFoundError) as error:
        # Killed before anything was written, or in the middle of the first transaction, which a reader cannot take back.
        if path.exists() and "is empty" not in str(error) and "READONLY_ROLLBACK" not in str(error):
            raise
        return kept
    for record in records:
        one = record.entry
        if one.kind == ENDED:
            kept.ended = True
        if not one.owner:
            continue
        owned = kept.owners.setdefault(one.owner, Owned())
        if one.kind == RECORDS:
            owned.records.append(np.frombuffer(one.payload, np.int64).reshape(-1, R_COLUMNS))
        elif one.kind == POINTS:
            owned.points.append(np.frombuffer(one.payload, np.int64).reshape(-1, 2))
        elif one.kind == CHECKPOINT:
            owned.checkpoints += 1
            owned.time = one.time
            owned.state = unpack_state(one.payload)[0]["strategy"]
    return kept


def check_sane(kept: Kept) -> None:
    """No order and no fill is there twice, and no fill without its order."""
    for name, owned in kept.owners.items():
        orders: set[int] = set()
        clients: set[str] = set()
        fills: dict[int, int] = {}
        for event in owned.events:
            if isinstance(event, Intent):
                assert event.order.id not in orders, f"{name}: order {event.order.id} twice"
                assert event.order.client_order_id not in clients, f"{name}: {event.order.client_order_id} twice"
                orders.add(event.order.id)
                clients.add(event.order.client_order_id)
            elif isinstance(event, Fill):
                assert event.order_id in orders, f"{name}: a fill of an order that nobody gave"
                fills[event.order_id] = fills.get(event.order_id, 0) + 1
                assert event.number == fills[event.order_id], f"{name}: order {event.order_id}: fill {event.number}"
        assert orders == set(range(1, len(orders) + 1)), name


def essence(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a result must be the same however often the session was killed."""
    keys = ("ledger_hash", "orders", "refused", "fills", "trades", "final_equity", "trading_state", "state", "metrics", "errors")
    found = {name: {key: one[key] for key in keys} for name, one in result["strategies"].items()}
    return found | {key: result[key] for key in ("ledger_hash", "error", "stopped_by", "book")}
