"""The table of ADR 0001, as data, in data-driven mode. Two symbols, three intervals, one absent minute, one late bar, one order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stratd.data.event_log import Segment
from stratd.model import BarFlags
from stratd.system.builder import build_session
from stratd.system.config import load_session
from stratd.system.result import RunOptions
from stratd.testing.bars import bars, nanoseconds, write_csv
from tests.support.recorders import Seen
from tests.support.replays import Played, entry, play, session
from tests.support.row_feed import RowFeed, merged

DAY = "2024-01-02"
SYMBOLS = ("AAA", "BBB")
AAA = """
    12:00  100 103  99 101  10
    12:01  101 105 100 104  20
    12:02  104 106 102 103  30
    12:03  103 104  98  99  40
"""
BBB = """
    12:00  50 51 49 50  1
    12:03  52 53 51 52  2
    12:02  60 99 10 60  9   # late: behind 12:03 in its file
"""

# Step, callback, bar; then how many rows of AAA 1m, BBB 1m, AAA 2m, BBB 2m, AAA 4m, BBB 4m are visible in it.
TABLE = """
    00:00 open  24/7                                                    | 0 0 0 0 0 0
    12:01 bars  AAA 1m 12:00 n=1 lost=0 quiet=0                         | 1 0 0 0 0 0
    12:01 bars  BBB 1m 12:00 n=1 lost=0 quiet=0                         | 1 1 0 0 0 0
    12:01 slice 1m missing=                                             | 1 1 0 0 0 0
    12:02 fill  AAA O1 12:01 at 101                                     | 1 1 0 0 0 0
    12:02 bars  AAA 1m 12:01 n=1 lost=0 quiet=0                         | 2 1 0 0 0 0
    12:02 slice 1m missing=BBB                                          | 2 1 0 0 0 0
    12:02 bars  AAA 2m 12:00 n=2 lost=0 quiet=0                         | 2 1 1 0 0 0
    12:02 bars  BBB 2m 12:00 n=1 lost=0 quiet=1 INCOMPLETE              | 2 1 1 1 0 0
    12:02 slice 2m missing=                                             | 2 1 1 1 0 0
    12:03 bars  AAA 1m 12:02 n=1 lost=0 quiet=0                         | 3 1 1 1 0 0
    12:03 slice 1m missing=BBB                                          | 3 1 1 1 0 0
    12:04 bars  AAA 1m 12:03 n=1 lost=0 quiet=0                         | 4 1 1 1 0 0
    12:04 bars  BBB 1m 12:03 n=1 lost=0 quiet=0                         | 4 2 1 1 0 0
    12:04 slice 1m missing=                                             | 4 2 1 1 0 0
    12:04 bars  AAA 2m 12:02 n=2 lost=0 quiet=0                         | 4 2 2 1 0 0
    12:04 bars  BBB 2m 12:02 n=1 lost=0 quiet=1 INCOMPLETE              | 4 2 2 2 0 0
    12:04 slice 2m missing=                                             | 4 2 2 2 0 0
    12:04 bars  AAA 4m 12:00 n=4 lost=0 quiet=0                         | 4 2 2 2 1 0
    12:04 bars  BBB 4m 12:00 n=2 lost=0 quiet=2 INCOMPLETE              | 4 2 2 2 1 1
    12:04 slice 4m missing=                                             | 4 2 2 2 1 1
"""

# Prices of every bar of the table: symbol, interval, open time; open, high, low, close, volume.
PRICES = """
    AAA 1m 12:00  100 103  99 101  10
    AAA 1m 12:01  101 105 100 104  20
    AAA 1m 12:02  104 106 102 103  30
    AAA 1m 12:03  103 104  98  99  40
    BBB 1m 12:00   50  51  49  50   1
    BBB 1m 12:03   52  53  51  52   2
    AAA 2m 12:00  100 105  99 104  30
    AAA 2m 12:02  104 106  98  99  70
    BBB 2m 12:00   50  51  49  50   1
    BBB 2m 12:02   52  53  51  52   2
    AAA 4m 12:00  100 106  98  99 100
    BBB 4m 12:00   50  53  49  52   3
"""


def at(clock: str) -> int:
    return nanoseconds(f"{DAY}T{clock}")


def lines_of(text: str) -> Iterator[list[str]]:
    return (line.split() for line in text.strip().splitlines())


def as_line(seen: Seen) -> str:
    """A callback as the table writes it, from what the callback was given and what ctx said in it."""
    clock = f"{seen.now - at('00:00'):d}"
    minutes, rest = divmod(int(clock), 60_000_000_000)
    assert rest == 0
    step = f"{minutes // 60:02}:{minutes % 60:02}"
    if seen.what == "bars":
        bar = seen.bar
        assert bar is not None
        opened = (bar.open_time - at("00:00")) // 60_000_000_000
        words = [step, "bars", seen.symbol, seen.interval, f"{opened // 60:02}:{opened % 60:02}"]
        words += [f"n={bar.n}", f"lost={bar.lost}", f"quiet={bar.quiet}"]
        words += [str(flag.name) for flag in BarFlags if flag & bar.flags]
        assert bar.close_time == seen.now
    elif seen.what == "slice":
        assert seen.span == (seen.now,)
        words = [step, "slice", seen.interval, f"missing={','.join(seen.missing)}"]
    elif seen.what == "fill":
        order, time, price = seen.fill
        minute = (time - at("00:00")) // 60_000_000_000
        words = [step, "fill", seen.symbol, f"O{order}", f"{minute // 60:02}:{minute % 60:02}", f"at {price:g}"]
    else:
        assert seen.span == (at("00:00"), at("00:00") + 86_400_000_000_000)
        words = [step, seen.what, seen.symbol]
    return " ".join([*words, "|", *(str(count) for _, count, _ in seen.view)])


@pytest.fixture
def session_file(tmp_path: Path) -> Path:
    write_csv(tmp_path / "AAA.csv", bars(AAA, symbol="AAA", day=DAY))
    write_csv(tmp_path / "BBB.csv", bars(BBB, symbol="BBB", day=DAY))
    table = entry("recorders", "FillRecorder", "table", streams=[["*", "1m"], ["*", "2m"], ["*", "4m"]], views=True, buys="AAA")
    account = {"sizing": {"method": "units", "units": 2}}
    config = session(SYMBOLS, [2, 4], [table], feed={"path": ".", "pattern": "{symbol}.csv"}, account=account)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture(params=[1, 2, 3, 4096], ids=lambda block: f"block{block}")
def block(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[1, 2, 64, 4096], ids=lambda window: f"window{window}")
def played(request: pytest.FixtureRequest, session_file: Path, block: int) -> Played:
    return play(load_session(session_file), None, window=int(request.param), block=block)


def test_callbacks_of_the_table_come_in_its_order_with_its_visible_rows(played: Played) -> None:
    expected = [" ".join(words) for words in lines_of(TABLE)]
    assert [as_line(seen) for seen in played.seen("table")] == expected


def test_callbacks_of_the_table_see_the_newest_row_of_every_stream(played: Played) -> None:
    streams = [(symbol, interval) for interval in ("1m", "2m", "4m") for symbol in SYMBOLS]
    opens = {stream: [words[2] for words in lines_of(PRICES) if (words[0], words[1]) == stream] for stream in streams}
    for seen in played.seen("table"):
        for stream, (visible, count, last_open) in zip(streams, seen.view, strict=True):
            assert visible == count, stream
            assert last_open == (at(opens[stream][count - 1]) if count else None), (seen, stream)


def test_bars_of_the_table_have_the_prices_of_their_usable_minutes(played: Played) -> None:
    expected = {(symbol, interval, at(clock)): tuple(map(float, cells)) for symbol, interval, clock, *cells in lines_of(PRICES)}
    recorded = [seen for seen in played.seen("table") if seen.what == "bars"]
    assert {(seen.symbol, seen.interval, seen.bar.open_time): tuple(seen.bar[2:7]) for seen in recorded} == expected
    assert len(recorded) == len(expected)


def test_late_row_of_the_table_is_rejected_as_out_of_order_and_kept(played: Played) -> None:
    assert played.result.rejected == {"out_of_order": 1}
    [row] = played.rejects
    assert (row["symbol"], row["open_time"], row["kind"]) == ("BBB", f"{DAY}T12:02:00Z", "out_of_order")
    assert [float(row[name]) for name in ("open", "high", "low", "close", "volume")] == [60, 99, 10, 60, 9]
    assert (Path(row["source"]).name, row["line"]) == ("BBB.csv", "3")
    assert row["reason"]


def test_order_of_the_table_is_a_signal_decided_on_the_first_bar(played: Played) -> None:
    [signal] = played.signals
    assert (signal["open_time"], signal["strategy"], signal["symbol"], signal["side"]) == (
        f"{DAY}T12:00:00Z",
        "table",
        "AAA",
        "buy",
    )
    assert (float(signal["strength"]), signal["reason"]) == (0.5, "first bar")


def test_result_of_the_table_counts_what_came_in_and_went_out(played: Played) -> None:
    result = played.result
    assert result.bars_in == 6
    assert {str(interval): count for interval, count in result.bars_derived.items()} == {"2m": 4, "4m": 2}
    strategy = result.strategies["table"]
    assert (strategy.signals, strategy.errors, strategy.state, strategy.held_back) == (1, 0, "STOPPED", 0)
    assert (strategy.orders, strategy.fills, strategy.trades) == (1, 1, 0)
    assert strategy.final_equity == 100_000 + 1 * (99 - 101)  # two units at a strength of 0.5
    assert result.deterministic
    assert result.exit_code == 0
    assert played.strategies["table"].torn_down == 1


@pytest.mark.parametrize("window", [1, 4096])
def test_log_of_the_table_holds_its_entries_in_order(session_file: Path, tmp_path: Path, block: int, window: int) -> None:
    made = build_session(load_session(session_file), RunOptions(window=window, block_minutes=block, results_dir=str(tmp_path)))
    segment: Segment | None = made.log.tail
    made.strategies.start()
    made.processor.start()
    try:
        assert made.processor.join(30.0)
        assert not made.strategies.join(30.0)
    finally:
        made.close()
    entries = []
    while segment is not None:
        entries += zip(segment.close_time.tolist(), segment.stream.tolist(), segment.row.tolist(), strict=True)
        assert segment.published == len(segment)
        segment = segment.following
    streams = {(symbol, interval): (k, s) for k, interval in enumerate(("1m", "2m", "4m")) for s, symbol in enumerate(SYMBOLS)}
    rows: dict[tuple[int, int], int] = {}
    day = int(made.market.calendars[0].session_open.searchsorted(at("00:00")))
    expected = []
    for step, what, *words in lines_of(TABLE):
        if what == "bars":
            k, s = streams[words[0], words[1]]
            expected.append((at(step), k * len(SYMBOLS) + s, rows.setdefault((k, s), 0)))
            rows[k, s] += 1
        elif what == "open":
            # Behind the bars' streams: a close and an open for each calendar; the row is the session's place in its calendar.
            expected.append((at(step), 3 * len(SYMBOLS) + 1, day))
    assert entries == expected
    assert made.log.length == len(expected)


# What the table does not show: the other rules of the ADR, each with the smallest session that shows it.


def order_of(played: Played, name: str = "only") -> list[str]:
    """Callbacks without their bars: `12:04 bars AAA 2m`. Steps of other days carry the date."""
    lines = []
    for seen in played.seen(name):
        days, minute = divmod((seen.now - at("00:00")) // 60_000_000_000, 1440)
        step = f"{'' if days == 0 else f'{days:+}d '}{minute // 60:02}:{minute % 60:02}"
        missing = f" missing={','.join(seen.missing)}" if seen.what == "slice" else ""
        lines.append(" ".join(filter(None, (step, seen.what, seen.symbol, seen.interval))) + missing)
    return lines


def run_text(text: str, intervals: list[int | str], block: int, class_name: str = "Recorder", **more: object) -> Played:
    streams = [["*", "1m"], *(["*", f"{interval}m" if isinstance(interval, int) else interval] for interval in intervals)]
    config = session(SYMBOLS, intervals, [entry("recorders", class_name, "only", streams=streams)], **more)
    rows = bars(text, day=DAY)
    return play(
        config, RowFeed(merged([[row for row in rows if row.symbol == symbol] for symbol in SYMBOLS], SYMBOLS)), block=block
    )


def test_bucket_that_ends_in_a_hole_of_the_feed_has_a_step_of_its_own_before_the_next_minute(block: int) -> None:
    played = run_text("12:00 100\n12:30 101", [5, 15], block, "BarRecorder")
    assert order_of(played) == [
        "00:00 open 24/7",
        "12:01 bars AAA 1m",
        "12:05 bars AAA 5m",
        "12:15 bars AAA 15m",
        "12:31 bars AAA 1m",
        "12:35 bars AAA 5m",
        "12:45 bars AAA 15m",
    ]


def test_slices_in_a_hole_name_the_symbols_that_had_a_bucket_and_gave_no_bar(block: int) -> None:
    played = run_text("AAA 12:00 100\nBBB 12:00 50\nAAA 12:07 101", [5], block)
    assert order_of(played) == [
        "00:00 open 24/7",
        "12:01 bars AAA 1m",
        "12:01 bars BBB 1m",
        "12:01 slice 1m missing=",
        "12:05 bars AAA 5m",
        "12:05 bars BBB 5m",
        "12:05 slice 5m missing=",
        "12:08 bars AAA 1m",
        "12:08 slice 1m missing=BBB",
        "12:10 bars AAA 5m",
        "12:10 slice 5m missing=BBB",
    ]


def test_session_events_come_after_the_bars_of_their_step_a_close_before_an_open(block: int) -> None:
    played = run_text("23:58 100\n23:59 101\n2024-01-03T00:00 102", [2], block, "BarRecorder")
    assert order_of(played) == [
        "00:00 open 24/7",
        "23:59 bars AAA 1m",
        "+1d 00:00 bars AAA 1m",
        "+1d 00:00 bars AAA 2m",
        "+1d 00:00 close 24/7",
        "+1d 00:00 open 24/7",
        "+1d 00:01 bars AAA 1m",
        "+1d 00:02 bars AAA 2m",
    ]
    day = 86_400_000_000_000
    spans = [seen.span for seen in played.seen("only") if seen.what != "bars"]
    assert spans == [(at("00:00"), at("00:00") + day)] * 2 + [(at("00:00") + day, at("00:00") + 2 * day)]


def test_session_events_of_days_without_bars_are_published_in_the_hole(block: int) -> None:
    played = run_text("23:00 100\n2024-01-04T01:00 102", [], block, "BarRecorder")
    assert order_of(played) == [
        "00:00 open 24/7",
        "23:01 bars AAA 1m",
        "+1d 00:00 close 24/7",
        "+1d 00:00 open 24/7",
        "+2d 00:00 close 24/7",
        "+2d 00:00 open 24/7",
        "+2d 01:01 bars AAA 1m",
    ]


def test_session_events_beyond_the_last_minute_are_not_published_but_those_at_its_end_are(block: int) -> None:
    assert order_of(run_text("23:58 100", [5], block, "BarRecorder"))[-1] == "+1d 00:00 bars AAA 5m"
    assert order_of(run_text("23:59 100", [], block, "BarRecorder"))[1:3] == ["+1d 00:00 bars AAA 1m", "+1d 00:00 close 24/7"]


def test_exchange_session_opens_before_its_first_bar_and_closes_after_its_last(block: int) -> None:
    text = "14:29 1\n14:30 100\n20:59 101\n21:00 1\n2024-01-03T14:31 102"
    played = run_text(text, [60], block, "BarRecorder", calendar="XNYS")
    assert order_of(played) == [
        "14:30 open XNYS",
        "14:31 bars AAA 1m",
        "15:30 bars AAA 1h",
        "21:00 bars AAA 1m",
        "21:00 bars AAA 1h",
        "21:00 close XNYS",
        "+1d 14:30 open XNYS",
        "+1d 14:32 bars AAA 1m",
        "+1d 15:30 bars AAA 1h",
    ]
    assert played.result.rejected == {"outside_session": 2}
    truncated = played.seen("only")[4].bar
    assert truncated.open_time == at("20:30")
    assert truncated.close_time == at("21:00")
    assert BarFlags.TRUNCATED in truncated.flags
    assert (truncated.n, truncated.quiet) == (1, 29)


def test_row_older_than_a_later_minute_of_another_symbol_in_the_same_file_is_out_of_order(block: int) -> None:
    rows = bars("AAA 12:00 1\nBBB 12:00 1\nAAA 12:02 1\nBBB 12:01 1\nBBB 12:03 1", day=DAY)
    config = session(SYMBOLS, [], [entry("recorders", "BarRecorder", "only")])
    played = play(config, RowFeed(rows), block=block)
    assert played.result.rejected == {"out_of_order": 1}
    assert [(row["symbol"], row["open_time"]) for row in played.rejects] == [("BBB", f"{DAY}T12:01:00Z")]
    assert order_of(played)[1:] == ["12:01 bars AAA 1m", "12:01 bars BBB 1m", "12:03 bars AAA 1m", "12:04 bars BBB 1m"]


def test_symbol_order_of_events_is_the_sessions_and_not_the_alphabets(block: int) -> None:
    rows = bars("BBB 12:00 1\nAAA 12:00 1", day=DAY)
    config = session(
        ("BBB", "AAA"), [2], [entry("recorders", "Recorder", "only", streams=[["A*", "2m"], ["?BB", "2m"], ["*", "1m"]])]
    )
    assert order_of(play(config, RowFeed(rows), block=block))[1:] == [
        "12:01 bars BBB 1m",
        "12:01 bars AAA 1m",
        "12:01 slice 1m missing=",
        "12:02 bars BBB 2m",
        "12:02 bars AAA 2m",
        "12:02 slice 2m missing=",
    ]


def test_feed_without_rows_ends_without_callbacks(block: int) -> None:
    config = session(SYMBOLS, [2], [entry("recorders", "Recorder", "only")])
    played = play(config, RowFeed([]), block=block)
    assert order_of(played) == []
    assert (played.result.bars_in, played.result.rejected) == (0, {})
