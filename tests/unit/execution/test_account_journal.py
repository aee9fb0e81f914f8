from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from stratd.errors import JournalError
from stratd.execution.account_journal import CHECKPOINT, POINTS, RECORDS, AccountJournal
from stratd.execution.rules import AccountRules
from stratd.journal.entry import MOST_PAYLOAD_BYTES, Entry
from stratd.model import MINUTE_NS, Interval
from stratd.portfolio.cells import R_COLUMNS
from stratd.strategy.base import Strategy
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.spine import Spine, market

START = nanoseconds("2024-01-03T00:00")


class Full:
    """In place of a journal: takes groups, unless it is full."""

    def __init__(self) -> None:
        self.groups: list[list[Entry]] = []
        self.full = False
        self.failure = None

    def post(self, entries: Sequence[Entry]) -> int:
        if self.full:
            raise JournalError("no disk")
        self.groups.append(list(entries))
        return len(self.groups)

    def wait(self, ticket: int, timeout_seconds: float) -> bool:
        return True


def journal(durable: bool = True) -> tuple[AccountJournal, Full]:
    full = Full()
    return AccountJournal(full, "one", durable), full  # type: ignore[arg-type]


def numbered(count: int, columns: int) -> np.ndarray[Any, Any]:
    return np.arange(count * columns, dtype=np.int64).reshape(count, columns)


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 400_000])
def test_add_any_number_of_rows_goes_into_entries_that_the_journal_can_hold(count: int) -> None:
    made, full = journal()
    records, points = numbered(count, R_COLUMNS), numbered(count, 2)
    made.add_records(records)
    made.add_points(points)
    assert made.commit(7, b"state") is None
    (group,) = full.groups
    assert max(len(entry.payload) for entry in group) <= MOST_PAYLOAD_BYTES // 16
    for kind, rows, column in ((RECORDS, records, 1), (POINTS, points, 0)):
        entries = [entry for entry in group if entry.kind == kind]
        parts = [np.frombuffer(entry.payload, np.int64).reshape(-1, rows.shape[1]) for entry in entries]
        assert np.array_equal(np.concatenate(parts), rows)
        assert [entry.time for entry in entries] == [part[-1, column] for part in parts]
    assert group[-1] == Entry("one", CHECKPOINT, 7, b"state")


def test_commit_that_cannot_be_posted_keeps_what_was_collected() -> None:
    made, full = journal()
    made.add_records(numbered(3, R_COLUMNS))
    full.full = True
    with pytest.raises(JournalError):
        made.commit(7, b"")
    full.full = False
    assert made.commit(8, b"") is None
    assert [(entry.kind, entry.time) for entry in full.groups[0]] == [(RECORDS, 33), (CHECKPOINT, 8)]


def test_flush_that_cannot_be_posted_keeps_what_was_collected() -> None:
    made, full = journal(durable=False)
    made.add_points(numbered(3, 2))
    full.full = True
    with pytest.raises(JournalError):
        made.flush()
    full.full = False
    made.flush()
    made.flush()
    assert [[(entry.kind, entry.time) for entry in group] for group in full.groups] == [[(POINTS, 4)]]


class Quoter(Strategy[Any]):
    """Cancels and gives sixteen orders at each bar."""

    def setup(self, ctx: Any) -> None:
        self.ids: list[int] = []
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol: str, interval: Interval) -> None:
        for one in self.ids:
            assert self.ctx.cancel(one)
        self.ids = [self.ctx.order(symbol, "buy", 1, kind="limit", limit_price=1.0 + k) for k in range(16)]


class Told(Quoter):
    def on_fill(self, fill: Any) -> None:
        raise AssertionError("nothing fills")


@pytest.mark.parametrize("kind", [Quoter, Told])
def test_records_of_a_window_that_are_given_away_take_no_room(kind: type[Quoter]) -> None:
    spine = Spine(market(["AAA"], ["1m"], history=20), window=4096, block=2000)
    thread = spine.thread(kind, rules=AccountRules())
    assert thread.account is not None
    made, full = journal(durable=False)
    thread.account.journal = made
    spine.run([BarRow("AAA", START + at * MINUTE_NS, 100.0, 100.0, 100.0, 100.0, 1.0) for at in range(1500)])
    assert thread.errors == 0
    rows = sum(len(entry.payload) for group in full.groups for entry in group if entry.kind == RECORDS) // (8 * R_COLUMNS)
    assert rows == 16 * (1500 + 2 * 1499)
    assert len(thread.account.records) <= 8_192
