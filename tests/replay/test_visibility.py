"""No look-ahead: while a strategy handles an event it sees the rows up to that event's key, and no way of reading shows more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.model import Interval
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.replays import Played, entry, play, session
from tests.support.row_feed import MINUTE_NS, RowFeed

SYMBOLS = ("BBB", "AAA", "CCC")
START = nanoseconds("2024-01-02T12:03")
HISTORY = 6
SIZES = ((4096, 4096), (1, 1), (3, 7), (64, 13))
STREAMS = [["*", "1m"], ["AAA", "5m"]]
WATCHED = [["BBB", "5m"], ["C*", "15m"], ["CCC", "5m"]]


def walk(seed: int, minutes: int = 47) -> list[BarRow]:
    """Rows in feed order; each symbol has a minute missing now and then."""
    random = np.random.default_rng(seed)
    rows = []
    for minute in range(minutes):
        for symbol in SYMBOLS:
            open_, close = (float(price) / 4 for price in random.integers(400, 500, 2))
            if random.random() < 0.9:
                high, low = max(open_, close) + 1, min(open_, close) - 1
                rows.append(BarRow(symbol, START + minute * MINUTE_NS, open_, high, low, close, float(random.integers(1, 99))))
    return rows


def run(
    rows: list[BarRow], class_name: str, window: int = 4096, block: int = 4096, history: int = HISTORY, **params: Any
) -> Played:
    strategies = [
        entry("probes", class_name, "probe", **params),
        entry("recorders", "BarRecorder", "other", streams=[["*", "1m"]]),
    ]
    return play(session(SYMBOLS, [5, 15], strategies, history_bars=history, tick=0.25), RowFeed(rows), window, block)


def probe(rows: list[BarRow], window: int, block: int) -> Any:
    played = run(rows, "Prober", window, block, streams=STREAMS, watched=WATCHED)
    assert played.result.strategies["probe"].errors == 0, played.result.strategies["probe"].last_error
    return played.strategies["probe"]


def as_text(seen: list[Any]) -> list[str]:
    """Callbacks as text: NaN equals NaN, and 1.0 is not 1."""
    return [repr(one) for one in seen]


def rows_of(rows: list[BarRow], symbol: str, interval: str) -> list[tuple[int, int, float, float, float, float, float]]:
    """Open and close time, prices and volume of a stream, put together here, without looking at anything of the session's."""
    span = Interval(interval).duration_ns
    found: dict[int, list[BarRow]] = {}
    for row in rows:
        if row.symbol == symbol:
            found.setdefault(row.open_time - row.open_time % span, []).append(row)
    return [
        (t, t + span, at[0].open, max(r.high for r in at), min(r.low for r in at), at[-1].close, sum(r.volume for r in at))
        for t, at in found.items()
    ]


@pytest.fixture(params=SIZES, ids=lambda sizes: f"window{sizes[0]}-block{sizes[1]}")
def sizes(request: pytest.FixtureRequest) -> tuple[int, int]:
    window, block = request.param
    return int(window), int(block)


def test_every_way_of_reading_shows_exactly_the_rows_up_to_the_events_key(sizes: tuple[int, int]) -> None:
    rows = walk(1)
    prober = probe(rows, *sizes)
    assert len(prober.seen) > 150
    whole = {stream: rows_of(rows, *stream) for stream in prober.streams}
    for now, what, symbol, minutes, streams in prober.seen:
        # A slice comes after the last of the strategy's own streams of its interval.
        last = (
            symbol
            if what == "bars"
            else [each for each, interval in prober.subscribed if Interval(interval).minutes == minutes][-1]
        )
        key = (now, minutes, SYMBOLS.index(last))
        for (name, interval), ways in streams.items():
            rank = (Interval(interval).minutes, SYMBOLS.index(name))
            if what == "slice" and minutes == rank[0] and (name, interval) not in prober.subscribed:
                continue  # The text does not say whether a slice is before or after a watched stream of its interval.
            visible = [row for row in whole[name, interval] if (row[1], *rank) <= key]
            held = visible[-HISTORY:]
            closes = [row[5] for row in held]
            case = (now, what, symbol, minutes, name, interval)
            assert (ways["count"], ways["length"], ways["kept count"]) == (len(visible), len(held), len(visible)), case
            for way in ("closes", "kept closes", "as array", "copied", "view", "buffer", "far slice"):
                assert ways[way] == closes, (way, case)
            assert ways["open times"] == [row[0] for row in held], case
            assert ways["close times"] == [row[1] for row in held], case
            assert ways["columns"][:5] == [[row[field] for row in held] for field in range(2, 7)], case
            assert {len(column) for column in ways["columns"]} == {len(held)}, case
            assert (ways["beyond"], ways["averages beyond"]) == ([], []), case
            assert {ways[way] for way in ("at end", "next index", "far index", "next time")} == {"IndexError"}, case
            if visible:
                assert ways["newest"] == ways["newest by index"], case
                assert (ways["newest"].open_time, ways["newest"].close, ways["newest"].volume) == (
                    held[-1][0],
                    held[-1][5],
                    held[-1][6],
                ), case
                assert (ways["oldest"].open_time, ways["oldest"].open) == (held[0][0], held[0][2]), case
            else:
                assert (ways["newest"], ways["newest by index"], ways["oldest"]) == ("IndexError",) * 3, case
            assert ways["too old"] == ("HistoryExceeded" if len(visible) > HISTORY else "IndexError"), case
            if len(visible) > HISTORY:
                assert ways["first"] == "HistoryExceeded", case
            averages = [np.nan if at < 2 else sum(row[5] for row in visible[at - 2 : at + 1]) / 3 for at in range(len(visible))]
            np.testing.assert_array_equal(ways["averages"], averages[-HISTORY:], err_msg=str(case))
            np.testing.assert_array_equal(ways["average"], averages[-1] if averages else np.nan, err_msg=str(case))


def test_all_that_is_seen_is_the_same_for_every_window_and_block() -> None:
    rows = walk(2)
    coarse, *others = (as_text(probe(rows, *sizes).seen) for sizes in SIZES)
    for other in others:
        assert other == coarse


def test_kept_arrays_keep_their_length_and_their_values(sizes: tuple[int, int]) -> None:
    prober = probe(walk(3, minutes=150), *sizes)
    assert len(prober.kept_arrays) > 500
    for kept, copy in prober.kept_arrays:
        np.testing.assert_array_equal(kept, copy)


def test_kept_series_follows_the_cursor_and_does_not_run_ahead_of_it(sizes: tuple[int, int]) -> None:
    prober = probe(walk(4), *sizes)
    for *_, streams in prober.seen:
        assert all(ways["kept closes"] == ways["closes"] and ways["kept count"] == ways["count"] for ways in streams.values())


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), minute=st.integers(1, 25), sizes=st.sampled_from(SIZES), shorter=st.booleans())
def test_changing_the_future_changes_nothing_that_was_seen_before(
    seed: int, minute: int, sizes: tuple[int, int], shorter: bool
) -> None:
    rows = walk(seed, minutes=30)
    turn = START + minute * MINUTE_NS
    past = [row for row in rows if row.open_time < turn]
    future = (
        []
        if shorter
        else [row._replace(high=9e6, close=8e6, volume=1e9) for row in walk(seed + 1, minutes=30) if row.open_time >= turn]
    )
    was, other = (probe(given, *sizes).seen for given in (rows, past + future))
    before, same = ([seen for seen in run_ if seen[0] <= turn] for run_ in (was, other))
    if shorter:
        # At the end of the feed open buckets are closed too, but later than the last minute.
        assert all(seen[0] <= turn + 15 * MINUTE_NS for seen in other)
    assert len(before) > 0
    assert as_text(same) == as_text(before)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(minute=st.integers(70, 500), sizes=st.sampled_from(SIZES))
def test_changing_the_future_changes_no_signal_decided_before(minute: int, sizes: tuple[int, int]) -> None:
    rows = walk(5, minutes=600)
    turn = START + minute * MINUTE_NS
    changed = [row if row.open_time < turn else row._replace(close=row.open, volume=1.0) for row in rows]
    strategies = [
        entry("troupe", "Crosser", "crosser", interval="1m"),
        entry("troupe", "Watcher", "watcher"),
        entry("troupe", "Slicer", "slicer"),
    ]
    config = session(SYMBOLS, [5, 15], strategies, history_bars=HISTORY, tick=0.25)
    one, other = (play(config, RowFeed(given), *sizes).signals for given in (rows, changed))

    def decided_before(signals: list[dict[str, str]]) -> list[dict[str, str]]:
        # A bar that opened in the last fifteen minutes before the turn may close behind it.
        return [signal for signal in signals if nanoseconds(signal["open_time"]) < turn - 15 * MINUTE_NS]

    assert decided_before(one) == decided_before(other) != []
    assert one != other


def test_history_bars_is_what_is_visible_however_much_memory_holds(sizes: tuple[int, int]) -> None:
    rows = walk(6, minutes=120)
    for history in (4, 5, 50):
        played = run(rows, "Prober", *sizes, history=history, streams=[["*", "1m"]])
        for *_, streams in played.strategies["probe"].seen:
            for ways in streams.values():
                assert ways["length"] == min(ways["count"], history) == len(ways["closes"])
                assert ways["too old"] == ("HistoryExceeded" if ways["count"] > history else "IndexError")


def test_writing_is_refused_whatever_is_tried(sizes: tuple[int, int]) -> None:
    outcomes = dict[str, set[str]]()
    for how, outcome in run(walk(7), "Writer", *sizes).strategies["probe"].outcomes:
        outcomes.setdefault(how, set()).add(outcome)
    assert "went through" not in set().union(*outcomes.values()), outcomes
    assert "was changed" not in set().union(*outcomes.values()), outcomes
    assert len(outcomes) == 10


def test_writers_attempts_leave_other_strategies_bars_as_they_came_in() -> None:
    rows = walk(8)
    seen = [seen for seen in run(rows, "Writer").seen("other") if seen.bar is not None]
    assert [(seen.symbol, seen.bar.open_time, *seen.bar[2:7]) for seen in seen] == [tuple(row) for row in rows]


def test_streams_neither_subscribed_to_nor_watched_are_refused(sizes: tuple[int, int]) -> None:
    played = run(walk(9), "Trespasser", *sizes)
    outcomes = played.strategies["probe"].outcomes
    own = {"own", "own, as Interval", "watched"}
    assert {name for name, found in outcomes.items() if found == {"given"}} == own
    assert all(found == {"NotSubscribed"} for name, found in outcomes.items() if name not in own), outcomes
