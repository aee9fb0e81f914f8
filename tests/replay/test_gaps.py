"""Dirty input: whatever is missing or wrong, every row is used once or rejected once, and every bar is what ADR 0001 says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.model import Interval
from stratd.testing.bars import BarRow, bars, nanoseconds
from tests.support.recorders import Seen
from tests.support.reference import MINUTE, Expected, Listed, Phase, expect
from tests.support.replays import Played, entry, play, session
from tests.support.row_feed import RowFeed, merged

INTERVALS = (1, 2, 5, 15, 60, 1440)
# Window and minutes in a block: the coarsest first, as the one that the others must equal.
SIZES = ((4096, 4096), (1, 1), (2, 13), (64, 5))


def phase(day: str, opened: str, closed: str, regular: bool, number: int) -> Phase:
    return Phase(nanoseconds(f"{day}T{opened}"), nanoseconds(f"{day}T{closed}"), regular, number)


# Hours of the exchanges, UTC, written by hand. Hong Kong: lunch break; the eve of the new year ends at noon. New York: Christmas eve ends at 13:00.
HONG_KONG = (
    phase("2024-02-08", "01:30", "04:00", True, 0),
    phase("2024-02-08", "05:00", "08:00", True, 0),
    phase("2024-02-09", "01:30", "04:00", True, 1),
)
NEW_YORK = (
    phase("2015-12-23", "14:30", "21:00", True, 0),
    phase("2015-12-24", "14:30", "18:00", True, 1),
)
NEW_YORK_EXTENDED = (
    phase("2015-12-23", "09:00", "14:30", False, 0),
    phase("2015-12-23", "14:30", "21:00", True, 0),
    phase("2015-12-23", "21:00", "01:00", False, 0),
    phase("2015-12-24", "09:00", "14:30", False, 1),
    phase("2015-12-24", "14:30", "18:00", True, 1),
    phase("2015-12-24", "18:00", "22:00", False, 1),
)
NEW_YORK_EXTENDED = tuple(
    replace(one, close=nanoseconds("2015-12-24T01:00")) if one.close < one.open else one for one in NEW_YORK_EXTENDED
)

# Markets, and when each has bars: first minute and how many, in spans. Spans run over opens and closes, but neither the first nor
# the last row is outside its session: which rows make the first and the last minute of a feed has tests of its own.
MARKETS: dict[str, tuple[tuple[Listed, ...], tuple[tuple[str, int], ...]]] = {
    "round the clock": (
        (Listed("AAA"), Listed("BBB", sends_empty_minutes=True), Listed("CCC")),
        (("2024-01-02T23:44", 37), ("2024-01-03T03:02", 9)),
    ),
    "one symbol": ((Listed("AAA", sends_empty_minutes=True),), (("2024-01-02T11:58", 33),)),
    "lunch break": (
        (Listed("AAA", "XHKG", HONG_KONG, sends_empty_minutes=True), Listed("BBB", "XHKG", HONG_KONG)),
        (("2024-02-08T03:41", 24), ("2024-02-08T04:55", 20), ("2024-02-09T03:31", 29)),
    ),
    "two calendars": (
        (Listed("AAA", "XHKG", HONG_KONG), Listed("CCC")),
        (("2024-02-08T03:51", 20), ("2024-02-08T04:55", 20), ("2024-02-09T01:20", 20)),
    ),
    "half day": (
        (Listed("AAA", "XNYS", NEW_YORK, sends_empty_minutes=True), Listed("BBB", "XNYS", NEW_YORK)),
        (("2015-12-23T20:51", 15), ("2015-12-24T14:22", 21), ("2015-12-24T17:31", 29)),
    ),
    "half day, extended hours": (
        (
            Listed("AAA", "XNYS", NEW_YORK_EXTENDED, True, True),
            Listed("BBB", "XNYS", NEW_YORK_EXTENDED, True),
        ),
        (("2015-12-23T20:51", 15), ("2015-12-24T08:57", 11), ("2015-12-24T14:22", 21), ("2015-12-24T17:51", 20)),
    ),
}


def intervals_of(listed: Sequence[Listed]) -> tuple[int, ...]:
    """Days of two calendars never close together, so that no slice can hold both."""
    return INTERVALS[:-1] if len({one.calendar for one in listed}) > 1 else INTERVALS


NAN, INF = float("nan"), float("inf")
# Rows that come instead of the good one.
SPOILT: dict[str, dict[str, float]] = {
    "nan close": {"close": NAN},
    "nan volume": {"volume": NAN},
    "infinite high": {"high": INF},
    "zero open": {"open": 0.0, "low": 0.0},
    "negative low": {"low": -1.0},
    "high below low": {"high": 90.0, "low": 110.0, "open": 100.0, "close": 100.0},
    "open above high": {"open": 500.0},
    "close below low": {"close": 1.0},
    "negative volume": {"volume": -1.0},
}
FURTHER = (
    "absent",
    "same again",
    "another",
    "spoilt, then good",
    "good, then spoilt",
    "spoilt twice",
    "misaligned",
    "late",
    "late and spoilt",
    "unknown",
)
ACTS = (*SPOILT, *FURTHER)


def good(symbol: str, number: int, t: int) -> BarRow:
    """A row that is different for each symbol and minute; prices and volumes add up exactly."""
    minute = t // MINUTE
    open_, close = (100 + number * 20 + (minute * step) % 37 * 0.25 for step in (7, 11))
    return BarRow(symbol, t, open_, max(open_, close) + minute % 5, min(open_, close) - minute % 3, close, float(minute % 97 + 1))


def rows_for(act: str, row: BarRow) -> list[BarRow]:
    """What a symbol's file holds instead of `row`."""
    spoilt = row._replace(close=NAN)
    back = row._replace(open_time=row.open_time - (row.open_time // MINUTE % 7 + 1) * MINUTE, high=999.0, volume=1e6)
    return {
        "there": [row],
        "absent": [],
        "same again": [row, row],
        "another": [row, row._replace(high=row.high + 1)],
        "spoilt, then good": [spoilt, row],
        "good, then spoilt": [row, spoilt],
        "spoilt twice": [spoilt, spoilt],
        "misaligned": [row, row._replace(open_time=row.open_time + MINUTE // 2)],
        "late": [row, back],
        "late and spoilt": [row, back._replace(volume=NAN)],
        "unknown": [row],
    }.get(act) or ([row._replace(**SPOILT[act])] if act in SPOILT else [])


Dirt = tuple[dict[tuple[int, int], str], list[tuple[int, int, int]]]


def dirt(market: str) -> st.SearchStrategy[Dirt]:
    """What is wrong, by symbol and minute; and holes: in which symbol (-1: in all), from where, how long."""
    listed, spans = MARKETS[market]
    symbols, minutes = len(listed), sum(count for _, count in spans)
    acts = st.dictionaries(
        st.tuples(st.integers(0, symbols - 1), st.integers(0, minutes - 1)), st.sampled_from(ACTS), max_size=14
    )
    holes = st.tuples(st.integers(-1, symbols - 1), st.integers(0, minutes - 1), st.integers(1, 12))
    return st.tuples(acts, st.lists(holes, max_size=4))


def dirty(market: str, found: Dirt) -> list[BarRow]:
    """Rows of a market in feed order, with what is wrong."""
    acts, holes = found
    listed, spans = MARKETS[market]
    minutes = [nanoseconds(start) + number * MINUTE for start, count in spans for number in range(count)]
    sources: list[list[BarRow]] = [[] for _ in listed]
    strangers: list[BarRow] = []
    for number, one in enumerate(listed):
        for at, t in enumerate(minutes):
            is_hole = any(which in (-1, number) and start <= at < start + length for which, start, length in holes)
            act = acts.get((number, at), "absent" if is_hole else "there")
            if not one.is_open(t) and act.startswith("late"):
                act = "there"  # Whether a row outside the session makes an older one late has a test of its own.
            row = good(one.symbol, number, t)
            sources[number] += rows_for(act, row)
            if act == "unknown":
                strangers.append(row._replace(symbol="ZZZ"))
    strangers.sort(key=lambda row: row.open_time)
    return merged([*sources, strangers], [one.symbol for one in listed])


def config_of(listed: Sequence[Listed], class_name: str = "Recorder") -> dict[str, Any]:
    symbols = [
        {
            "symbol": one.symbol,
            "calendar": one.calendar,
            "extended_hours": one.extended_hours,
            "sends_empty_minutes": one.sends_empty_minutes,
        }
        for one in listed
    ]
    intervals = intervals_of(listed)
    streams = [["*", f"{minutes}m"] for minutes in intervals]
    return session(symbols, intervals[1:], [entry("recorders", class_name, "only", streams=streams)])


def as_event(seen: Seen) -> tuple[int, str, tuple[object, ...]]:
    """A callback as `tests.support.reference` writes events."""
    if seen.what == "bars":
        assert seen.bar is not None
        bar = (*seen.bar[:10], int(seen.bar.flags))
        return seen.now, "bar", (seen.symbol, Interval(seen.interval).minutes, bar)
    if seen.what == "slice":
        return seen.span[0], "slice", (Interval(seen.interval).minutes, seen.missing)
    return seen.now, seen.what, (seen.symbol, *seen.span)


def without_truncated_days(event: tuple[int, str, tuple[object, ...]]) -> tuple[int, str, tuple[object, ...]]:
    """The text says nothing of the flag TRUNCATED for 1d."""
    time, what, body = event
    if what == "bar" and body[1] == 1440:
        bar = body[2]
        assert isinstance(bar, tuple)
        body = (*body[:2], (*bar[:-1], bar[-1] & ~32))
    return time, what, body


def assert_as_expected(played: Played, expected: Expected) -> None:
    """Events in order, and the fate of every row."""
    got = [without_truncated_days(as_event(seen)) for seen in played.seen("only")]
    wanted = [(event.key[0], event.what, event.body) for event in expected.events]
    for place, (one, other) in enumerate(zip(got, wanted, strict=False)):
        assert one == other, f"callback {place}"
    assert len(got) == len(wanted)
    fate = {int(row["line"]) - 1: row["kind"] for row in played.rejects}
    assert len(fate) == len(played.rejects), "a row was rejected twice"
    for line, kinds in enumerate(expected.kinds):
        if kinds == "used":
            assert line not in fate, f"row {line} was rejected as {fate[line]}"
        else:
            assert fate.get(line) in kinds, f"row {line}"
    assert played.result.rejected == Counter(fate.values())
    assert played.result.bars_in == len(expected.kinds) - len(fate)


@pytest.mark.parametrize("market", MARKETS)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_dirty_input_gives_what_the_adr_says_for_every_block_and_window(market: str, data: st.DataObject) -> None:
    listed, _ = MARKETS[market]
    rows = dirty(market, data.draw(dirt(market)))
    expected = expect(rows, listed, intervals_of(listed))
    hashes = set()
    for window, block in SIZES:
        played = play(config_of(listed), RowFeed(rows), window, block)
        assert_as_expected(played, expected)
        for one in listed:
            quality = played.result.quality[one.symbol]
            assert quality["present"] == len(expected.used[one.symbol])
            if not one.sends_empty_minutes:
                assert quality["lost"] == len(expected.lost[one.symbol])
        hashes.add(played.result.audit_hash)
    assert len(hashes) == 1


@pytest.mark.prove
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("market", MARKETS)
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_dirty_input_gives_what_the_adr_says_for_many_more(market: str, data: st.DataObject) -> None:
    listed, _ = MARKETS[market]
    rows = dirty(market, data.draw(dirt(market)))
    window, block = data.draw(st.sampled_from(((4096, 4096), (1, 1), (2, 13), (64, 5), (1, 4096), (4096, 1), (3, 7))))
    assert_as_expected(play(config_of(listed), RowFeed(rows), window, block), expect(rows, listed, intervals_of(listed)))


@pytest.mark.parametrize("act", ACTS)
def test_each_kind_of_dirt_alone_in_each_minute_of_a_bucket(act: str) -> None:
    listed = (Listed("AAA"), Listed("BBB", sends_empty_minutes=True))
    start = nanoseconds("2024-01-02T12:00")
    for where in range(5, 11):
        sources = []
        for number, one in enumerate(listed):
            rows = [good(one.symbol, number, start + at * MINUTE) for at in range(17)]
            sources.append([made for at, row in enumerate(rows) for made in (rows_for(act, row) if at == where else [row])])
        rows = merged(sources, ("AAA", "BBB"))
        for window, block in ((4096, 4096), (1, 1)):
            assert_as_expected(play(config_of(listed), RowFeed(rows), window, block), expect(rows, listed, intervals_of(listed)))


@pytest.mark.parametrize("gone", range(30))
def test_one_missing_minute_changes_nothing_but_the_bars_that_it_belongs_to(gone: int) -> None:
    listed = (Listed("AAA"), Listed("BBB"))
    start = nanoseconds("2024-01-02T12:00")
    full = [good(one.symbol, number, start + at * MINUTE) for at in range(30) for number, one in enumerate(listed)]
    holed = [row for row in full if row[:2] != ("AAA", start + gone * MINUTE)]
    before, after = (
        {
            (seen.symbol, seen.interval, seen.bar.open_time): seen.bar
            for seen in play(config_of(listed), RowFeed(rows)).seen("only")
            if seen.bar
        }
        for rows in (full, holed)
    )
    assert set(before) - set(after) == {("AAA", "1m", start + gone * MINUTE)}
    assert set(after) <= set(before)
    for stream, bar in after.items():
        was = before[stream]
        if stream[0] == "AAA" and bar.open_time <= start + gone * MINUTE < bar.close_time:
            assert (bar.n, bar.quiet, bar.lost) == (was.n - 1, was.quiet + 1, 0), stream
        else:
            assert bar == was, stream


def test_symbol_of_a_venue_that_sends_empty_minutes_loses_what_is_absent_in_regular_hours_only() -> None:
    listed = (Listed("AAA", "XNYS", NEW_YORK_EXTENDED, True, True),)
    rows = bars("2015-12-24T14:28 100\n2015-12-24T14:30 100\n2015-12-24T14:34 100", symbol="AAA")
    played = play(config_of(listed), RowFeed(rows))
    fives = [seen.bar for seen in played.seen("only") if seen.bar is not None and seen.interval == "5m"]
    assert [(bar.n, bar.lost, bar.quiet) for bar in fives] == [(1, 0, 4), (2, 3, 0)]
    assert_as_expected(played, expect(rows, listed, intervals_of(listed)))


def test_row_in_the_future_is_rejected_and_the_rows_behind_it_are_used(tmp_path: Any) -> None:
    from stratd.system.config import SessionConfig
    from stratd.testing.bars import write_csv

    minutes = [good("AAA", 0, nanoseconds("2024-01-02T12:00") + at * MINUTE) for at in range(6)]
    typo = minutes[3]._replace(open_time=nanoseconds("2224-01-02T12:03"))
    write_csv(tmp_path / "AAA.csv", [*minutes[:3], typo, *minutes[3:]])
    others = [row._replace(symbol="BBB") for row in minutes]
    write_csv(tmp_path / "BBB.csv", others)
    config = config_of((Listed("AAA"), Listed("BBB"))) | {"feed": {"path": str(tmp_path), "pattern": "{symbol}.csv"}}
    played = play(SessionConfig.model_validate(config), None)
    assert played.result.rejected == {"future_time": 1}
    assert played.result.bars_in == 12


def test_row_with_a_time_that_cannot_be_read_is_rejected_and_the_rows_around_it_are_used(tmp_path: Any) -> None:
    from stratd.system.config import SessionConfig
    from stratd.testing.bars import write_csv

    minutes = [good("AAA", 0, nanoseconds("2024-01-02T12:00") + at * MINUTE) for at in range(6)]
    path = write_csv(tmp_path / "AAA.csv", minutes)
    lines = path.read_text().splitlines()
    lines.insert(4, "yesterday,100,101,99,100,1")
    path.write_text("\n".join(lines) + "\n")
    config = config_of((Listed("AAA"),)) | {"feed": {"path": str(tmp_path), "pattern": "{symbol}.csv"}}
    played = play(SessionConfig.model_validate(config), None)
    assert played.result.rejected == {"malformed_time": 1}
    assert played.result.bars_in == 6
    assert played.rejects[0]["line"] == "4"


@pytest.mark.parametrize(("window", "block"), SIZES)
def test_row_outside_the_session_says_nothing_about_any_minute(window: int, block: int) -> None:
    # Rule 2: such a row is no minute of the feed, so the close at 18:00 lies beyond the watermark.
    listed = (Listed("AAA", "XNYS", NEW_YORK),)
    rows = bars("2015-12-24T17:58 100\n2015-12-24T18:03 100", symbol="AAA")
    played = play(config_of(listed), RowFeed(rows), window, block)
    assert played.result.rejected == {"outside_session": 1}
    assert "session_close" not in {seen.what for seen in played.seen("only")}
    assert_as_expected(played, expect(rows, listed, INTERVALS))


@pytest.mark.parametrize(("window", "block"), SIZES)
def test_row_that_cannot_be_used_is_a_minute_of_the_feed_and_so_moves_the_watermark(window: int, block: int) -> None:
    listed = (Listed("AAA", "XNYS", NEW_YORK),)
    rows = bars("2015-12-24T17:58 100\n2015-12-24T17:59 100", symbol="AAA")
    rows[1] = rows[1]._replace(close=NAN)
    assert_as_expected(play(config_of(listed), RowFeed(rows), window, block), expect(rows, listed, INTERVALS))


@pytest.mark.parametrize(("window", "block"), SIZES)
def test_row_older_than_a_row_outside_the_session_is_used(window: int, block: int) -> None:
    # Rules 2 and 6: a row outside the session makes no other row late.
    listed = (Listed("AAA", "XNYS", NEW_YORK),)
    times = ("2015-12-23T20:55", "2015-12-23T21:03", "2015-12-23T20:57", "2015-12-24T14:30")
    rows = [good("AAA", 0, nanoseconds(time)) for time in times]
    assert_as_expected(play(config_of(listed), RowFeed(rows), window, block), expect(rows, listed, INTERVALS))


@pytest.mark.parametrize("sends_empty_minutes", [False, True])
@pytest.mark.parametrize("minute", ["14:27", "14:32"])
def test_row_that_cannot_be_used_is_lost_in_regular_and_in_extended_hours(minute: str, sends_empty_minutes: bool) -> None:
    # Rule 5: a minute is lost when its row came and could not be used. That it is absent matters in regular hours only.
    listed = (Listed("AAA", "XNYS", NEW_YORK_EXTENDED, True, sends_empty_minutes),)
    times = [f"2015-12-24T14:{number}" for number in range(25, 35)]
    rows = [good("AAA", 0, nanoseconds(time)) for time in times]
    rows = [row._replace(close=NAN) if time.endswith(minute) else row for row, time in zip(rows, times, strict=True)]
    played = play(config_of(listed), RowFeed(rows))
    fives = {seen.bar.open_time: seen.bar for seen in played.seen("only") if seen.bar is not None and seen.interval == "5m"}
    spoilt = fives[nanoseconds("2015-12-24T14:25" if minute < "14:30" else "2015-12-24T14:30")]
    assert (spoilt.n, spoilt.lost, spoilt.quiet) == (4, 1, 0)
    assert played.result.quality["AAA"]["lost"] == 1


@pytest.mark.parametrize(("window", "block"), SIZES)
def test_feed_of_nothing_but_bad_rows_ends_quietly(window: int, block: int) -> None:
    rows = [good("AAA", 0, nanoseconds("2024-01-02T12:00") + at * MINUTE)._replace(close=NAN) for at in range(20)]
    played = play(config_of((Listed("AAA"),)), RowFeed(rows), window, block)
    assert played.result.rejected == {"nan": 20}
    assert [seen for seen in played.seen("only") if seen.what in ("bars", "slice")] == []
