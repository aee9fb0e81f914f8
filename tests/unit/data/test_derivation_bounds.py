"""Kernels check no bounds: whatever rows come, the room that is made for columns and log must do."""

from __future__ import annotations

import numpy as np
import pytest

from stratd.data.block import BarBlock
from stratd.data.calendars import concatenate
from stratd.data.derivation import Derivation
from stratd.data.session_data import SessionData
from stratd.errors import CalendarError
from stratd.model import MINUTE_NS, Interval
from stratd.system.calendars import load_calendar

LATEST = 1_800_000_000_000_000_000
CALENDARS = (("24/7", False), ("XNYS", False), ("XNYS", True), ("XHKG", False), ("CMES", False))
ODD_TIMES = (-(2**63), 2**63 - 1, 0, -1, LATEST, LATEST - LATEST % MINUTE_NS, 1, MINUTE_NS, 5)


def check(seed: int) -> None:
    """Adversarial rows of one seed: long gaps, odd times, bad prices, several calendars, tiny memory, random cuts."""
    random = np.random.default_rng(seed)
    tables = [load_calendar(*CALENDARS[at]) for at in random.permutation(len(CALENDARS))[: random.integers(1, 5)]]
    symbols = int(random.choice([1, 2, 7, 30]))
    longer = random.permutation(["2m", "5m", "7m", "15m", "1h", "4h", "1d"])[: random.integers(0, 6)]
    intervals = [Interval("1m"), *sorted(Interval(str(text)) for text in longer)]
    try:
        grids = concatenate(tables, intervals)
    except CalendarError:
        return
    rows = int(random.choice([1, 5, 50, 2000]))
    start = int(random.choice([0, 700_000_000, 1_650_000_000, 1_700_000_000])) * 1_000_000_000
    times = np.sort(start + random.integers(0, random.choice([20, 500, 5_000, 5_000_000]), rows) * MINUTE_NS)
    odd = random.random(rows) < random.choice([0, 0.05])
    times[odd] = random.choice(ODD_TIMES, odd.sum())
    symbol = random.integers(-1, symbols, rows).astype(np.int32)
    prices = np.full((5, rows), 5.0)
    prices[0, random.random(rows) < 0.1] = np.nan
    data = SessionData([f"S{number}" for number in range(symbols)], intervals, int(random.choice([1, 3, 20])))
    calendar_of = random.integers(0, len(tables), symbols)
    derivation = Derivation(data, grids, calendar_of, random.integers(0, 2, symbols).astype(np.uint8), LATEST)
    # A log with a margin behind what was asked for: nothing may be written there.
    reserve, asked = derivation._room, [0]

    def room(entries: int) -> object:
        asked[0] = entries
        derivation._logs = tuple(np.full(entries + 500, 7, column.dtype) for column in reserve(0))  # type: ignore[assignment]
        return derivation._logs

    derivation._room = room  # type: ignore[assignment,method-assign]
    closes: list[int] = []
    size = int(random.choice([rows, max(1, rows // 3), 37]))
    for at in [*range(0, rows, size), None]:
        if at is None:
            segment = derivation.finish()
        else:
            cut = slice(at, at + size)
            many = len(times[cut])
            columns = (prices[f, cut].copy() for f in range(5))
            block = BarBlock(times[cut].copy(), symbol[cut].copy(), *columns, np.zeros(many, np.int32), np.arange(many))
            segment, _ = derivation.take(block)
        assert len(segment) <= asked[0]
        assert all((column[asked[0] :] == 7).all() for column in derivation._logs)
        assert segment.step_end.tolist()[-1:] in ([], [len(segment)])
        assert ((data.count - data.frame.base).max(axis=1) <= data.frame.capacity).all()
        closes += segment.close_time.tolist()
    assert closes == sorted(closes)


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_take_of_adversarial_rows_stays_within_the_room_made_for_it(first: int) -> None:
    for seed in range(first, first + 20):
        check(seed)


@pytest.mark.prove
@pytest.mark.parametrize("first", range(1_000, 4_000, 500))
def test_take_of_many_more_adversarial_rows_stays_within_the_room_made_for_it(first: int) -> None:
    for seed in range(first, first + 500):
        check(seed)
