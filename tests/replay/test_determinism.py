"""One session, one result: whatever the window, the blocks and the run. And another session, another result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stratd.testing.bars import BarRow, nanoseconds
from tests.support.replays import Played, entry, play, session
from tests.support.row_feed import MINUTE_NS, RowFeed, merged

SYMBOLS = ("AAA", "BBB", "CCC")
WINDOWS = (1, 2, 7, 64, 4096)
BLOCKS = (1, 13, 390, 4096)
NAN = float("nan")


def rows_of_a_dirty_day() -> list[BarRow]:
    """Eleven hours over midnight: random walks, minutes missing in one symbol or in all, and a tenth of BBB spoilt early on."""
    random = np.random.default_rng(7)
    start = nanoseconds("2024-01-02T17:07")
    sources = []
    for number, symbol in enumerate(SYMBOLS):
        rows = []
        close = 400 + 100 * number
        for minute in range(660):
            open_, close = close, close + int(random.integers(-3, 4))
            row = BarRow(
                symbol,
                start + minute * MINUTE_NS,
                *(price / 4 for price in (open_, max(open_, close) + 1, min(open_, close) - 1, close)),
                10.0,
            )
            row = row._replace(volume=float(random.integers(1, 500)))
            luck = random.random()
            if 200 <= minute < 231 or luck < 0.05 * number:
                continue
            if symbol == "BBB" and 40 <= minute < 90 and luck > 0.7:
                row = row._replace(close=NAN)
            rows.append(row)
            if luck > 0.99:
                rows.append(row._replace(open_time=row.open_time - 3 * MINUTE_NS))
        sources.append(rows)
    return merged(sources, SYMBOLS)


ROWS = rows_of_a_dirty_day()

TROUPE = (
    entry("troupe", "Crosser", "healthy", interval="1m", period=4),
    entry("troupe", "Raiser", "raising", max_errors=100_000, interval="1m"),
    entry("troupe", "Breaking", "breaking", max_errors=20, interval="1m"),
    entry("troupe", "Crosser", "choosy", interval="5m", min_quality=0.95),
    entry("troupe", "Crosser", "choosy_minutes", interval="1m", min_quality=0.9),
    entry("troupe", "Slow", "slow", interval="5m", work=20),
    entry("troupe", "Slicer", "slicer"),
    entry("troupe", "Slicer", "choosy_slicer", min_quality=0.95),
    entry("troupe", "Watcher", "watcher"),
    entry("troupe", "Session", "session", interval="15m"),
)


def config(*strategies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return session(SYMBOLS, [5, 15], strategies, tick=0.25, history_bars=60, **more)


def essence(played: Played) -> dict[str, Any]:
    """All of a result but durations and paths."""
    result = played.result
    strategies = {
        name: (one.notifications, one.signals, one.errors, one.state, one.held_back, one.last_error, one.audit_hash)
        for name, one in result.strategies.items()
    }
    counts = (result.bars_in, result.bars_derived, result.rejected, result.quality, result.deterministic, result.notes)
    return {
        "audit": result.audit_hash,
        "counts": counts,
        "strategies": strategies,
        "signals": played.signals,
        "rejects": played.rejects,
    }


@pytest.fixture(scope="module")
def reference() -> Played:
    return play(config(*TROUPE), RowFeed(ROWS), 4096, 4096)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("block", BLOCKS)
def test_session_is_the_same_for_every_window_and_block(reference: Played, window: int, block: int) -> None:
    assert essence(play(config(*TROUPE), RowFeed(ROWS), window, block)) == essence(reference)


@pytest.mark.parametrize("run", range(3))
def test_session_is_the_same_run_after_run(reference: Played, run: int) -> None:
    assert essence(play(config(*TROUPE), RowFeed(ROWS), 64, 390)) == essence(reference)


def test_session_is_deterministic_and_holds_what_it_is_meant_to_hold(reference: Played) -> None:
    """So that the tests of this file are about something."""
    found = reference.result.strategies
    assert reference.result.deterministic
    assert set(reference.result.rejected) == {"nan", "out_of_order"}
    assert all(one.signals > 5 for name, one in found.items() if name != "session")
    assert found["session"].signals == 3
    assert {name: one.state for name, one in found.items() if one.state != "STOPPED"} == {"breaking": "QUARANTINED"}
    assert 0 < found["choosy"].held_back < found["healthy"].notifications
    assert len({one.audit_hash for one in found.values()}) == len(found)


def test_raising_strategy_survives_and_goes_on(reference: Played) -> None:
    raising, healthy = reference.result.strategies["raising"], reference.result.strategies["healthy"]
    assert raising.notifications == healthy.notifications
    assert reference.strategies["raising"].handled == reference.strategies["healthy"].handled
    assert raising.errors == reference.strategies["raising"].handled // 3
    assert raising.last_error is not None
    assert "ValueError" in raising.last_error


def test_breaking_strategy_is_quarantined_past_max_errors_and_told_nothing_more(reference: Played) -> None:
    breaking = reference.result.strategies["breaking"]
    assert breaking.errors == 20 + 1
    assert reference.strategies["breaking"].handled == 50 + 20 + 1
    assert any("breaking" in note for note in reference.result.notes)


@pytest.mark.parametrize("max_errors", [0, 1, 5])
def test_quarantine_comes_with_the_first_error_too_many(max_errors: int) -> None:
    played = play(config(entry("troupe", "Breaking", "breaking", max_errors=max_errors, interval="1m")), RowFeed(ROWS))
    assert played.result.strategies["breaking"].state == "QUARANTINED"
    assert played.result.strategies["breaking"].errors == max_errors + 1


def test_as_many_errors_as_max_errors_are_survived(reference: Played) -> None:
    errors = reference.result.strategies["raising"].errors
    played = play(config(entry("troupe", "Raiser", "raising", max_errors=errors, interval="1m")), RowFeed(ROWS))
    assert played.result.strategies["raising"].state == "STOPPED"
    assert played.result.strategies["raising"].audit_hash == reference.result.strategies["raising"].audit_hash


def test_held_back_notifications_are_those_of_bad_quality_and_are_said_once(reference: Played) -> None:
    """Quality at a bar: minutes there against minutes there and lost, up to that bar. Counted here from the rows themselves."""
    held_back = 0
    for symbol in SYMBOLS:
        newest, present, lost = 0, 0, 0
        for row in (row for row in ROWS if row.symbol == symbol and row.open_time >= 0):
            if row.open_time < newest:
                continue
            newest = row.open_time
            if np.isnan(row.close):
                lost += 1
                continue
            present += 1
            held_back += present / (present + lost) < 0.9
    found = reference.result.strategies["choosy_minutes"]
    assert found.held_back == held_back > 0
    assert found.notifications == reference.result.strategies["healthy"].notifications - held_back
    assert len([note for note in reference.result.notes if "choosy_minutes" in note]) == 1


@pytest.mark.parametrize("window", [1, 4096])
def test_healthy_strategy_next_to_a_raising_and_a_slow_one_does_what_it_does_alone(window: int) -> None:
    healthy, raising, slow = (one for one in TROUPE if one["name"] in ("healthy", "raising", "slow"))
    alone = play(config(healthy), RowFeed(ROWS), window)
    for company in ((healthy, raising, slow), (slow, raising, healthy)):
        together = play(config(*company), RowFeed(ROWS), window)
        assert together.signals_of("healthy") == alone.signals
        assert together.result.strategies["healthy"].audit_hash == alone.result.strategies["healthy"].audit_hash
        assert together.result.strategies["healthy"].errors == 0


HEALTHY = entry("troupe", "Crosser", "healthy", interval="1m", period=4)


def hash_of(rows: list[BarRow], *strategies: dict[str, Any], **more: Any) -> str:
    return play(config(*(strategies or (HEALTHY,)), **more), RowFeed(rows)).result.audit_hash


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_changed_bar_changes_the_hash(field: str) -> None:
    at = next(number for number, row in enumerate(ROWS) if number > 900 and row.close == row.close and row.open != row.close)
    row = ROWS[at]
    value = {"open": row.close, "high": row.high + 0.25, "low": row.low - 0.25, "close": row.open, "volume": row.volume + 1}[
        field
    ]
    assert hash_of([*ROWS[:at], row._replace(**{field: value}), *ROWS[at + 1 :]]) != hash_of(ROWS)


def test_bar_left_out_changes_the_hash() -> None:
    for at in (0, len(ROWS) // 2, len(ROWS) - 1):
        assert hash_of(ROWS[:at] + ROWS[at + 1 :]) != hash_of(ROWS)


def test_changed_order_of_notifications_changes_the_hash() -> None:
    feed = RowFeed(merged([[row for row in ROWS if row.symbol == symbol] for symbol in SYMBOLS], SYMBOLS[::-1]))
    other = config(HEALTHY)
    other["session_data_config"]["symbols"] = list(SYMBOLS[::-1])
    assert play(other, feed).result.audit_hash != hash_of(ROWS)


def test_changed_signal_changes_the_hash() -> None:
    weaker = entry("troupe", "Crosser", "healthy", interval="1m", period=4, strength=0.5)
    other = entry("troupe", "Crosser", "healthy", interval="1m", period=5)
    assert len({hash_of(ROWS), hash_of(ROWS, weaker), hash_of(ROWS, other)}) == 3


def test_strategy_added_changes_the_hash_of_the_session_and_of_no_other_strategy() -> None:
    alone, both = (
        play(config(*strategies), RowFeed(ROWS)).result for strategies in ((HEALTHY,), (HEALTHY, TROUPE[0] | {"name": "twin"}))
    )
    assert alone.audit_hash != both.audit_hash
    assert alone.strategies["healthy"].audit_hash == both.strategies["healthy"].audit_hash


@pytest.mark.parametrize(
    ("min_quality", "there", "spoilt"),
    [(0.5, 3, 3), (0.75, 3, 1), (0.8, 4, 1), (0.9, 9, 1), (0.9, 54, 6), (0.95, 19, 1), (0.99, 99, 1)],
)
def test_stream_of_just_min_quality_is_not_below_it(min_quality: float, there: int, spoilt: int) -> None:
    start = nanoseconds("2024-01-02T12:00")
    rows = [BarRow("AAA", start + at * MINUTE_NS, 1.0, 1.0, 1.0, 1.0, 1.0) for at in range(there + spoilt + 1)]
    for at in range(there - 1, there - 1 + spoilt):
        rows[at] = rows[at]._replace(close=NAN)
    strategies = [
        entry("recorders", "BarRecorder", name, min_quality=quality)
        for name, quality in (("at", min_quality), ("above", min_quality + 1e-6))
    ]
    played = play(config(*strategies), RowFeed(rows[:-1]))
    assert played.result.quality["AAA"]["quality"] == there / (there + spoilt) == min_quality
    assert played.result.strategies["at"].held_back == 0
    assert played.result.strategies["above"].held_back == 1


@pytest.mark.parametrize("where", ["on_bars", "on_slice", "on_session_open", "on_session_close", "teardown"])
def test_error_in_any_callback_is_counted_and_harms_nobody_else(where: str) -> None:
    thrower = entry("troupe", "Thrower", "thrower", max_errors=100_000, interval="15m", where=where)
    played = play(config(thrower, HEALTHY), RowFeed(ROWS))
    found = played.result.strategies
    assert found["thrower"].errors > 0
    assert found["thrower"].last_error is not None
    assert "ValueError" in found["thrower"].last_error
    assert found["healthy"].audit_hash == play(config(HEALTHY), RowFeed(ROWS)).result.strategies["healthy"].audit_hash


@pytest.mark.parametrize(
    "what", ["SystemExit", "StopIteration", "MemoryError", "RecursionError", "Unprintable", "GeneratorExit", "KeyboardInterrupt"]
)
def test_whatever_a_strategy_raises_the_session_goes_on_and_the_strategy_is_quarantined(what: str) -> None:
    thrower = entry("troupe", "Thrower", "thrower", max_errors=2, interval="15m", what=what)
    played = play(config(thrower, HEALTHY), RowFeed(ROWS), window=7)
    found = played.result.strategies
    assert played.result.stopped_by == "end of feed"
    assert played.result.deterministic
    assert (found["thrower"].state, found["thrower"].errors) == ("QUARANTINED", 3)
    assert found["healthy"].audit_hash == play(config(HEALTHY), RowFeed(ROWS)).result.strategies["healthy"].audit_hash
