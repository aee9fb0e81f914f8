"""ReplayFeed: what files hold comes out whole and in one order, whatever is wrong with them."""

from __future__ import annotations

import decimal
import gc
import gzip
import math
import resource
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.data.block import MALFORMED_TIME, BarBlock
from stratd.errors import FeedError
from stratd.feeds.replay import ReplayFeed, ReplaySource
from stratd.model.interval import MINUTE_NS
from stratd.testing.bars import BarRow, bars, nanoseconds, series, write_csv
from stratd.testing.feeds import drain, rows_of
from tests.support.paths import repo_root

T0 = nanoseconds("2024-01-02T12:00:00Z")
HEADER = "timestamp,open,high,low,close,volume\n"
OHLCV = "1,2,0.5,1.5,10"


def play(
    sources: Sequence[ReplaySource],
    symbols: Sequence[str] = ("AAA", "BBB"),
    size: tuple[int, int] = (10_000, 1_000_000),
    **options: int,
) -> list[BarBlock]:
    feed = ReplayFeed(sources, **options)
    try:
        feed.open(symbols)
        return drain(feed, *size)
    finally:
        feed.close()


def play_rows(sources: Sequence[ReplaySource], symbols: Sequence[str] = ("AAA", "BBB"), **options: int) -> list[BarRow]:
    return [row for block in play(sources, symbols, **options) for row in rows_of(block, symbols)]


def write(path: Path, text: str) -> ReplaySource:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return ReplaySource(path, "AAA")


def lines(*stamps: str) -> str:
    return HEADER + "".join(f"{stamp},{OHLCV}\n" for stamp in stamps)


def minute(count: int) -> str:
    return str(np.datetime64(T0 + count * MINUTE_NS, "ns").astype("M8[s]")) + "Z"


def table(rows: Sequence[BarRow], time: pa.DataType | None = None) -> pa.Table:
    names = ("timestamp", "open", "high", "low", "close", "volume")
    columns = {name: pa.array([row[place] for row in rows]) for place, name in enumerate(names, start=1)}
    columns["timestamp"] = (
        pa.array([row.open_time for row in rows], pa.int64()).cast(pa.timestamp("ns")).cast(time or pa.timestamp("ns", "UTC"))
    )
    return pa.table(columns | {"symbol": pa.array([row.symbol for row in rows]), "extra": pa.array([[1]] * len(rows))})


def write_ipc(path: Path, data: pa.Table, *, stream: bool = False, batch: int | None = None) -> Path:
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(path), data.schema) as writer:
        writer.write_table(data, max_chunksize=batch)
    return path


# Formats


def test_formats_same_rows_give_equal_blocks(tmp_path: Path) -> None:
    rows = series([100 + math.sin(index) for index in range(500)])
    data = table(rows)
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "a.csv.gz", rows)
    pyarrow.parquet.write_table(data, tmp_path / "a.parquet", row_group_size=70)
    write_ipc(tmp_path / "a.arrow", data, batch=64)
    write_ipc(tmp_path / "a.ipc", data, stream=True, batch=33)
    pyarrow.feather.write_feather(data, str(tmp_path / "a.feather"), compression="lz4")
    for ending in ("csv", "csv.gz", "parquet", "arrow", "ipc", "feather"):
        assert play_rows([ReplaySource(tmp_path / f"a.{ending}", "AAA")], batch_rows=50) == rows, ending


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "America/New_York"), pa.timestamp("ns")]
)
def test_times_arrow_timestamps_of_any_unit_and_zone_are_utc(tmp_path: Path, kind: pa.DataType) -> None:
    rows = series([1, 2, 3])
    write_ipc(tmp_path / "a.arrow", table(rows, kind))
    assert play_rows([ReplaySource(tmp_path / "a.arrow")]) == rows


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_times_integers_are_read_by_magnitude(tmp_path: Path, per_second: int, ending: str) -> None:
    rows = series([1, 2, 3])
    stamps = [row.open_time * per_second // 10**9 for row in rows]
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        write(
            path,
            "Open_Time,OPEN,High,low,close,Volume,x\n"
            + "".join(f"{s},{','.join(map(str, r[2:]))},q\n" for s, r in zip(stamps, rows, strict=True)),
        )
    else:
        pyarrow.parquet.write_table(table(rows).set_column(0, "ts", pa.array(stamps)), path)
    assert play_rows([ReplaySource(path, "AAA")]) == rows


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02T12:00:00Z",
        "2024-01-02 12:00:00Z",
        "2024-01-02T12:00Z",
        "2024-01-02T12:00:00.000000000Z",
        "2024-01-02T07:00:00-05:00",
        "2024-01-02T13:00:00+0100",
        "2024-01-02 12:00:00",
        " 2024-01-02T12:00:00Z ",
        "1704196800",
        "1704196800.0",
        "1704196800000.0",
        '"2024-01-02T12:00:00Z"',
    ],
)
@pytest.mark.parametrize("after", ["2024-01-02T12:01:00Z", "1704196860"])
def test_times_text_means_the_same_alone_and_among_others(tmp_path: Path, text: str, after: str) -> None:
    source = write(tmp_path / "a.csv", lines(text, after))
    assert [row.open_time - T0 for row in play_rows([source])] == [0, MINUTE_NS]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "20240102",
        "202401021200",
        "20240102120000",
        "2024-13-02T12:00:00Z",
        "9999-01-01T00:00:00Z",
        "-1",
        "1e400",
        "nan",
    ],
)
def test_times_what_is_no_time_is_malformed_at_its_place(tmp_path: Path, text: str) -> None:
    source = write(tmp_path / "a.csv", lines(minute(0), text, minute(1)))
    assert [row.open_time for row in play_rows([source])] == [T0, MALFORMED_TIME, T0 + MINUTE_NS]


def test_times_null_in_parquet_is_malformed_and_nan(tmp_path: Path) -> None:
    data = table(series([1, 2, 3]))
    data = data.set_column(0, "timestamp", pa.array([T0, None, T0 + MINUTE_NS], pa.timestamp("ns")))
    data = data.set_column(4, "close", pa.array([None, 2.0, 3.0]))
    pyarrow.parquet.write_table(data, tmp_path / "a.parquet")
    rows = play_rows([ReplaySource(tmp_path / "a.parquet", "AAA")])
    assert [row.open_time for row in rows] == [T0, MALFORMED_TIME, T0 + MINUTE_NS]
    assert [math.isnan(row.close) for row in rows] == [True, False, False]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 3], pa.int32()),
        pa.array([1, 2, 3], pa.uint64()),
        pa.array([1, 2, 3], pa.float32()),
        pa.array([decimal.Decimal("1.00"), decimal.Decimal("2.00"), decimal.Decimal("3.00")]),
        pa.array(["1", "2.0", "3e0"]),
        pa.array(["1", "2", "3"]).dictionary_encode(),
    ],
)
def test_numbers_of_any_type_are_accepted(tmp_path: Path, column: pa.Array) -> None:
    data = table(series([1, 2, 3])).set_column(5, "volume", column)
    write_ipc(tmp_path / "a.arrow", data)
    assert [row.volume for row in play_rows([ReplaySource(tmp_path / "a.arrow", "AAA")])] == [1.0, 2.0, 3.0]


def test_numbers_that_are_none_are_nan_and_their_neighbours_keep_every_bit(tmp_path: Path) -> None:
    good = "0.1,1e-7,123456789.123456789,5e-324,1.7976931348623157e308"
    bad = ["abc", "", "1_0", "0x10", "1.2.3", '"1,5"', "--1", "\N{ARABIC-INDIC DIGIT ONE}"]
    body = "".join(f"{minute(2 * i)},{good}\n{minute(2 * i + 1)},{cell},2,1,1,1\n" for i, cell in enumerate(bad))
    rows = play_rows([write(tmp_path / "a.csv", HEADER + body)], batch_rows=3)
    assert [list(row[2:]) for row in rows[::2]] == [[float(cell) for cell in good.split(",")]] * len(bad)
    assert all(math.isnan(row.open) and row.high == 2 for row in rows[1::2])


def test_csv_ragged_lines_become_rows_of_nan_at_their_place(tmp_path: Path) -> None:
    text = HEADER + f"{minute(0)},{OHLCV}\n{minute(1)},1,2\n{minute(2)},{OHLCV},9\nrubbish\n{minute(3)},{OHLCV}\n"
    for batch_rows in (1, 2, 100):
        rows = play_rows([write(tmp_path / "a.csv", text)], batch_rows=batch_rows)
        assert [row.open_time for row in rows] == [T0, T0 + MINUTE_NS, T0 + 2 * MINUTE_NS, MALFORMED_TIME, T0 + 3 * MINUTE_NS]
        assert [all(math.isnan(cell) for cell in row[2:]) for row in rows] == [False, True, True, True, False]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
@pytest.mark.parametrize("tail", ["", "end"])
def test_csv_line_ends_marks_and_empty_lines_are_no_rows(tmp_path: Path, start: str, end: str, tail: str) -> None:
    text = start + lines(*(minute(count) for count in range(5))).replace("\n", end)
    source = write(tmp_path / "a.csv", text if tail else text.rstrip())
    blocks = play([source], batch_rows=2)
    assert [line for block in blocks for line in block.line.tolist()] == [1, 2, 3, 4, 5]


def test_csv_gz_of_several_members_is_read_whole(tmp_path: Path) -> None:
    parts = [lines(*(minute(count) for count in range(50))), "".join(f"{minute(count)},{OHLCV}\n" for count in range(50, 90))]
    (tmp_path / "a.csv.gz").write_bytes(b"".join(gzip.compress(part.encode()) for part in parts) + b"\0" * 20)
    assert len(play_rows([ReplaySource(tmp_path / "a.csv.gz", "AAA")])) == 90


# Order


def test_order_is_time_then_symbols_of_the_session_then_sources(tmp_path: Path) -> None:
    text = "12:00 1\n12:01 2\n12:02 3"
    sources = [
        ReplaySource(write_csv(tmp_path / f"{n}.csv", bars(text, symbol=name)), name)
        for n, name in enumerate(("AAA", "BBB", "ZZZ", "AAA"))
    ]
    blocks = play(sources, ("BBB", "AAA"), (2, 100))
    assert [block.source.tolist() for block in blocks] == [[1, 0, 3, 2, 1, 0, 3, 2], [1, 0, 3, 2]]
    assert [block.line.tolist() for block in blocks] == [[1, 1, 1, 1, 2, 2, 2, 2], [3, 3, 3, 3]]
    assert blocks[0].unknown == {3: "ZZZ", 7: "ZZZ"}


def test_order_late_row_stands_behind_the_row_it_follows(tmp_path: Path) -> None:
    late = write_csv(tmp_path / "b.csv", bars("12:00 1\n12:03 2\n12:02 3\n12:04 4", symbol="BBB"))
    fine = write_csv(tmp_path / "a.csv", bars("12:02 1\n12:03 2\n12:04 3", symbol="AAA"))
    rows = play_rows([ReplaySource(late, "BBB"), ReplaySource(fine, "AAA")])
    assert [(row.symbol, row.iso[11:16]) for row in rows] == [
        ("BBB", "12:00"),
        ("AAA", "12:02"),
        ("AAA", "12:03"),
        ("BBB", "12:03"),
        ("BBB", "12:02"),
        ("AAA", "12:04"),
        ("BBB", "12:04"),
    ]


def test_order_first_rows_without_time_wait_for_the_first_good_one(tmp_path: Path) -> None:
    nonsense = write(tmp_path / "a.csv", lines("x", "y", minute(5)))
    other = ReplaySource(write_csv(tmp_path / "b.csv", bars("12:04 1\n12:06 2", symbol="BBB")), "BBB")
    blocks = play([nonsense, other], batch_rows=1)
    assert [(b.source.tolist(), b.line.tolist()) for b in blocks] == [([1, 0, 0, 0, 1], [1, 1, 2, 3, 2])]


def test_order_files_of_one_symbol_follow_each_other(tmp_path: Path) -> None:
    rows = series(list(range(1, 100)))
    later = ReplaySource(write_csv(tmp_path / "2.csv", rows[50:]), "AAA")
    earlier = ReplaySource(write_csv(tmp_path / "1.csv.gz", rows[:50]), "AAA")
    assert play_rows([later, earlier], batch_rows=7) == rows


def test_order_many_symbols_in_one_file_are_put_in_the_sessions_order(tmp_path: Path) -> None:
    rows = bars("AAA 12:00 1\nBBB 12:00 2\nZZZ 12:00 3\nBBB 12:01 4\nAAA 12:01 5\nZZZ 12:01 6")
    write_csv(tmp_path / "a.csv", rows, symbol_column=True)
    write_ipc(tmp_path / "a.arrow", table(rows))
    for name in ("a.csv", "a.arrow"):
        assert [row.close for row in play_rows([ReplaySource(tmp_path / name)], ("BBB", "AAA"))] == [2, 1, 3, 4, 5, 6]


def test_stamp_close_is_moved_back_by_a_minute(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", bars("12:01 1\n12:02 2"))
    assert [row.open_time for row in play_rows([ReplaySource(path, "AAA", "close")])] == [T0, T0 + MINUTE_NS]


def test_span_is_half_open_and_rows_outside_do_not_move_others(tmp_path: Path) -> None:
    rows = series(list(range(1, 101)))
    future = rows[60]._replace(open_time=T0 + 10**6 * MINUTE_NS)
    source = ReplaySource(write_csv(tmp_path / "a.csv", [*rows[:60], future, *rows[61:]]), "AAA")
    for batch_rows in (1, 7, 1_000):
        got = play_rows([source], start_ns=rows[50].open_time, end_ns=rows[70].open_time, batch_rows=batch_rows)
        assert got == [*rows[50:60], *rows[61:70]]


def test_shipped_sample_data_is_merged_whole(tmp_path: Path) -> None:
    files = sorted((repo_root() / "session_configs/sample_data/us_equity_2019-02").glob("*.csv.gz"))
    names = [file.name.removesuffix(".csv.gz") for file in files]
    blocks = play([ReplaySource(file, name) for file, name in zip(files, names, strict=True)], names, (64, 100_000))
    keys = [key for block in blocks for key in zip(block.open_time.tolist(), block.symbol.tolist(), strict=True)]
    assert keys == sorted(set(keys))
    assert len(keys) == sum(gzip.decompress(file.read_bytes()).count(b"\n") - 1 for file in files)


# What the reference merge below says, for any files, any batches, any blocks

CELLS = st.sampled_from([("1.5", 1.5), ("2", 2.0), ("x", math.nan), ("", math.nan), ("1e3", 1000.0)])
STEPS = st.sampled_from([0, 0, 1, 1, 1, 2, 7, 500, -1, -2, 0.5, None])
ROWS = st.lists(
    st.tuples(STEPS, st.sampled_from(["AAA", "BBB", "ZZZ"]), CELLS, st.sampled_from([0, 0, 0, 0, 1, -1])), max_size=25
)
FILES = st.lists(st.tuples(st.sampled_from(["AAA", "BBB", "ZZZ", None]), ROWS), min_size=1, max_size=4)
START = [
    (1, "AAA", ("1", 1.0), 0),
    (0, "BBB", ("1", 1.0), 0),
    (1, "AAA", ("1", 1.0), 0),
]  # in time order and not symbol after symbol
Expected = tuple[int, int, str, float, int, int]


def lay_out(
    path: Path, index: int, symbol: str | None, steps: list[tuple[float | None, str, tuple[str, float], int]]
) -> list[tuple[tuple[int, ...], Expected]]:
    """Writes a file; returns its rows with their keys, by plain Python: (effective minute, rank, source, line)."""
    text, rows, latest, now = [], [], -1, 0.0
    for line, (step, name, (cell, value), ragged) in enumerate([*START, *steps], start=1):
        now += step or 0
        open_time = MALFORMED_TIME if step is None else T0 + int(now * MINUTE_NS)
        latest = max(latest, open_time)
        cells = [name, _iso(open_time), "1", "2", "0.5", cell, "10", *(["7"] if ragged > 0 else [])]
        text.append(",".join(cells[: len(cells) + min(ragged, 0)] if symbol is None else cells[1 : len(cells) + min(ragged, 0)]))
        whose = name if symbol is None else symbol
        rank = {"AAA": 0, "BBB": 1}.get(whose, 2)
        rows.append(
            (
                (latest - latest % MINUTE_NS, rank, index, line),
                (open_time, rank, whose, math.nan if ragged else value, index, line),
            )
        )
        if step is not None and step < 0:
            now -= step
    path.write_text(("symbol," if symbol is None else "") + HEADER + "\n".join(text) + "\n")
    return rows


def _iso(open_time: int) -> str:
    return "never" if open_time == MALFORMED_TIME else str(np.datetime64(open_time, "ns").astype("M8[s]")) + "Z"


@settings(max_examples=150, deadline=None)
@given(files=FILES, batch_rows=st.integers(1, 40), max_minutes=st.integers(1, 20), max_rows=st.integers(1, 60))
def test_merge_any_files_and_sizes_equals_a_plain_sort(
    files: list[tuple[str | None, list[tuple[float | None, str, tuple[str, float], int]]]],
    batch_rows: int,
    max_minutes: int,
    max_rows: int,
) -> None:
    with TemporaryDirectory() as directory:
        keyed, sources = [], []
        for index, (symbol, steps) in enumerate(files):
            path = Path(directory) / f"{index}.csv"
            keyed += lay_out(path, index, symbol, steps)
            sources.append(ReplaySource(path, symbol))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("stratd.feeds.source.HEAD_ROWS", 1)  # else these small files are read whole when they are opened
            blocks = play(sources, ("AAA", "BBB"), (max_minutes, max_rows), batch_rows=batch_rows)
        whole = play(sources, ("AAA", "BBB"), (max_minutes, max_rows))
    assert [len(block) for block in blocks] == [len(block) for block in whole]
    got: list[Expected] = []
    for block in blocks:
        columns = (block.open_time, block.symbol, block.close, block.source, block.line)
        for row, (time, code, close, source, line) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            name = block.unknown[row] if code < 0 else ("AAA", "BBB")[code]
            got.append((time, 2 if code < 0 else code, name, close, source, line))
    keyed.sort(key=lambda one: one[0])
    assert repr(got) == repr([row for _, row in keyed])
    minutes = {key[2:]: key[0] // MINUTE_NS for key, _ in keyed}
    cuts = [{minutes[place] for place in zip(block.source.tolist(), block.line.tolist(), strict=True)} for block in blocks]
    assert sum(map(len, cuts)) == len(set().union(*cuts))
    assert all(len(cut) <= max_minutes for cut in cuts)
    assert all(len(cut) == 1 or len(block) <= max_rows for cut, block in zip(cuts, blocks, strict=True))


# What cannot be used


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "timestamp,open,high,low,close,vol\n", r"a\.csv: has no column 'volume' \(did you mean 'vol'\? rename it\)"),
        ("a.csv", "when,open,high,low,close,volume\n", "no time column"),
        ("a.csv", "timestmp,open,high,low,close\n", "did you mean 'timestmp'.*no column 'volume'"),
        ("a.csv", f"{minute(0)},{OHLCV}\n", "looks like data; put a line of column names above"),
        ("a.csv", HEADER.replace(",", ";"), "separated by commas"),
        ("a.csv", "", "is empty"),
        ("a.csv", "x" * (3 << 20), "no line end"),
        ("a.csv", lines(minute(2), minute(1), minute(0)), "descending order, newest first.*sort it by time"),
        ("a.csv", lines("01/02/2024 12:00", "01/02/2024 12:01"), "not one of its first 2 rows has a time"),
        ("a.csv.gz", "", "is empty"),
        ("a.txt", HEADER, r"the ending must be one of \.csv"),
        ("a.parquet", "PAR1 no", "cannot be read as Parquet"),
        ("a.arrow", "ARROW1 no", "cannot be read as Arrow IPC"),
        ("a.ipc", "", "cannot be read as Arrow IPC"),
    ],
)  # fmt: skip
def test_open_of_a_file_that_cannot_be_used_says_what_to_do(tmp_path: Path, name: str, text: str, says: str) -> None:
    source = write(tmp_path / name, text)
    with pytest.raises(FeedError, match=says):
        play([source])


def test_open_of_what_is_no_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "spy.csv", HEADER)
    with pytest.raises(FeedError, match=r"no such file; did you mean .*spy\.csv"):
        play([ReplaySource(tmp_path / "spi.csv", "AAA")])
    with pytest.raises(FeedError, match="there is no directory"):
        play([ReplaySource(tmp_path / "no" / "spy.csv", "AAA")])
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(FeedError, match="is a directory"):
        play([ReplaySource(tmp_path / "b.csv", "AAA")])


def test_open_wrong_column_types_are_named(tmp_path: Path) -> None:
    data = table(series([1, 2])).set_column(1, "open", pa.array([True, False])).set_column(0, "timestamp", pa.array([[1], [2]]))
    write_ipc(tmp_path / "a.arrow", data)
    with pytest.raises(FeedError, match="column 'timestamp' holds list.*not times; column 'open' holds bool, not numbers"):
        play([ReplaySource(tmp_path / "a.arrow", "AAA")])


def test_symbol_has_to_come_from_the_session_or_the_file(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", series([1, 2]))
    with pytest.raises(FeedError, match="has no column 'symbol'"):
        play([ReplaySource(tmp_path / "a.csv")])
    write_csv(tmp_path / "b.csv", bars("AAA 12:00 1\nBBB 12:00 2"), symbol_column=True)
    with pytest.raises(FeedError, match="row 2: its column 'symbol' names 'AAA' and 'BBB', but all its rows are to be 'AAA'"):
        play([ReplaySource(tmp_path / "b.csv", "AAA")])


@pytest.mark.parametrize("batch_rows", [100, 1_000, 100_000])
@pytest.mark.parametrize("length", [3, 3_000])
def test_order_symbol_after_symbol_is_refused(tmp_path: Path, length: int, batch_rows: int) -> None:
    prices = list(range(1, length + 1))
    write_ipc(tmp_path / "a.arrow", table([*series(prices), *series(prices, symbol="BBB")]))
    feed = ReplayFeed([ReplaySource(tmp_path / "a.arrow")], batch_rows=batch_rows)
    given: list[BarBlock] = []
    says = f"row {length + 2}: the rows of 'BBB' go back in time.*sort it by time, or write one file"
    with pytest.raises(FeedError, match=says):  # noqa: PT012
        feed.open(["AAA", "BBB"])
        while (block := feed.next_block(500, 10_000)) is not None:
            given.append(block)
    feed.close()
    assert sum(map(len, given)) == (0 if length < 1_000 else length + 1)


def test_order_file_that_stays_in_the_past_is_refused(tmp_path: Path) -> None:
    rows = table(series([1.0] * 60_000))
    jump = rows.slice(0, 1).set_column(0, "timestamp", pa.array([T0 + 10**6 * MINUTE_NS], pa.timestamp("ns", "UTC")))
    write_ipc(tmp_path / "a.arrow", pa.concat_tables([rows.slice(0, 2), jump, rows, rows]))
    with pytest.raises(FeedError, match="row 3 has the time 2025-11-26T22:40:00Z, and the 100000 rows after it are all older"):
        play([ReplaySource(tmp_path / "a.arrow", "AAA")])


def test_truncated_gz_gives_its_rows_and_then_says_where_it_breaks(tmp_path: Path) -> None:
    rows = series([100 + math.sin(index) for index in range(5_000)])
    packed = write_csv(tmp_path / "whole.csv.gz", rows).read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    other = ReplaySource(write_csv(tmp_path / "b.csv", series([1.0] * 5_000, symbol="BBB")), "BBB")
    counts = set()
    for batch_rows, size in ((50, (7, 1_000)), (100_000, (10_000, 1_000_000))):
        feed = ReplayFeed([ReplaySource(tmp_path / "a.csv.gz", "AAA"), other], batch_rows=batch_rows)
        feed.open(["AAA", "BBB"])
        given: list[BarRow] = []
        with pytest.raises(FeedError, match=r"a\.csv\.gz: cannot be read after row \d+: the gzip file breaks off") as caught:  # noqa: PT012
            while (block := feed.next_block(*size)) is not None:
                given += rows_of(block, ("AAA", "BBB"))
        feed.close()
        read = [row for row in given if row.symbol == "AAA"]
        assert read == rows[: len(read)]
        assert f"after row {len(read)}:" in str(caught.value)
        assert len(given) == 2 * len(read)
        counts.add(len(read))
    assert len(counts) == 1
    assert 1_000 < counts.pop() < 4_000


@pytest.mark.parametrize("name", ["a.parquet", "a.ipc"])
def test_damaged_columns_raise_and_never_crash(tmp_path: Path, name: str) -> None:
    data = table(series([100 + math.sin(index) for index in range(5_000)]))
    if name == "a.parquet":
        pyarrow.parquet.write_table(data, tmp_path / name, row_group_size=500, compression="gzip")
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2] + b"\0" * 2_000 + whole[len(whole) // 2 + 2_000 :])
    else:
        whole = write_ipc(tmp_path / name, data, stream=True, batch=500).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    feed = ReplayFeed([ReplaySource(tmp_path / name, "AAA")])
    feed.open(["AAA"])
    given = 0
    with pytest.raises(FeedError, match=r"cannot be read after row \d+: ") as caught:  # noqa: PT012
        while (block := feed.next_block(100, 10_000)) is not None:
            given += len(block)
    feed.close()
    assert given >= 1_000
    assert f"after row {given}:" in str(caught.value)


# Being a good neighbour


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_memory_ten_times_the_file_takes_about_the_same_peak(tmp_path: Path, ending: str) -> None:
    peaks = []
    for rows in (40_000, 400_000):
        time = pa.array(T0 + np.arange(rows) * MINUTE_NS).cast(pa.timestamp("ns", "UTC"))
        price = np.arange(rows) / 8
        data = pa.table({"timestamp": time, **dict.fromkeys(("open", "high", "low", "close", "volume"), price)})
        path = tmp_path / f"{rows}.{ending}"
        if ending == "csv":
            pa.csv.write_csv(data, path)
        elif ending == "parquet":
            pyarrow.parquet.write_table(data, path, row_group_size=20_000)
        else:
            write_ipc(path, data)
        del data, time, price
        gc.collect()
        feed = ReplayFeed([ReplaySource(path, "AAA")], batch_rows=4_000)
        tracemalloc.start()
        arrow_peak, seen = 0, 0
        feed.open(["AAA"])
        while (block := feed.next_block(1_000, 10_000)) is not None:
            seen += len(block)
            arrow_peak = max(arrow_peak, pa.total_allocated_bytes())
        peaks.append(arrow_peak + tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        feed.close()
        assert seen == rows
    assert peaks[1] < 1.3 * peaks[0] + 500_000
    assert peaks[1] < 8_000_000  # ten times the smaller file is 19 MB


def test_progress_grows_to_one(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", series([1.0] * 3_000))
    feed = ReplayFeed([ReplaySource(path, "AAA")], batch_rows=500)
    assert feed.progress() is None
    feed.open(["AAA"])
    shares = [feed.progress()]
    while feed.next_block(250, 10_000) is not None:
        shares.append(feed.progress())
    assert shares == pytest.approx([count / 12 for count in range(13)], abs=0.05)
    feed.close()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "arrow"])
def test_close_lets_go_of_large_files_at_any_time(tmp_path: Path, ending: str) -> None:
    rows = series(np.random.default_rng(1).random(9_000).tolist())
    path = tmp_path / f"a.{ending}"
    if ending.startswith("csv"):
        write_csv(path, rows)
    elif ending == "parquet":
        pyarrow.parquet.write_table(table(rows), path)
    else:
        write_ipc(path, table(rows))
    feed = ReplayFeed([ReplaySource(path, "AAA")], batch_rows=100)

    def held() -> int:
        gc.collect()
        return sum(str(path) in line for line in Path("/proc/self/maps").read_text().splitlines()) + sum(
            fd.resolve() == path for fd in Path("/proc/self/fd").iterdir()
        )

    feed.open(["AAA"])
    block = feed.next_block(10, 1_000)
    assert held() > 0
    feed.close()
    feed.close()
    assert held() == 0
    assert block is not None
    assert block.close.tolist() == [row.close for row in rows[:10]]
    assert feed.next_block(10, 1_000) is None
    feed.open(["AAA"])
    assert len(drain(feed, 10_000, 100_000)[0]) == 9_000
    assert held() == 0
    feed.close()


def test_sources_are_named_as_the_user_wrote_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(Path("a.csv"), series([1]))
    feed = ReplayFeed([ReplaySource(Path("a.csv"), "AAA")])
    assert list(feed.sources) == ["a.csv"]


def test_next_block_sizes_below_one_are_a_bug() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ReplayFeed([]).next_block(0, 1)


# Corners


def test_times_of_columns_that_are_dates_floats_or_decimals(tmp_path: Path) -> None:
    data = table(series([1, 2]))
    seconds = [T0 // 10**9, T0 // 10**9 + 60]
    midnight = nanoseconds("2024-01-02T00:00:00Z")
    for column, expected in (
        (pa.array([float(second) for second in seconds]), [T0, T0 + MINUTE_NS]),
        (pa.array([decimal.Decimal(second) for second in seconds]), [T0, T0 + MINUTE_NS]),
        (pa.array(["2024-01-02T12:00:00Z", None]), [T0, MALFORMED_TIME]),
        (pa.array([midnight // 10**9 // 86400, None], pa.date32()), [midnight, MALFORMED_TIME]),
        (pa.array([midnight // 10**6, None], pa.date64()), [midnight, MALFORMED_TIME]),
        (pa.array([T0 // 10**9, 10**18], pa.timestamp("s")), [T0, MALFORMED_TIME]),
        (pa.array([T0, T0 // 10**9 + 60]), [T0, T0 + MINUTE_NS]),
    ):
        write_ipc(tmp_path / "a.arrow", data.set_column(0, "date", column))
        assert [row.open_time for row in play_rows([ReplaySource(tmp_path / "a.arrow", "AAA")])] == expected, column.type


def test_symbol_column_of_any_type_with_nulls(tmp_path: Path) -> None:
    rows = bars("AAA 12:00 1\nBBB 12:00 2\nAAA 12:01 3")
    names = ["AAA", None, " AAA "]
    for column in (pa.array(names), pa.array(names).dictionary_encode(), pa.array(names, pa.large_string())):
        write_ipc(tmp_path / "a.arrow", table(rows).drop_columns(["symbol"]).append_column("Symbol", column))
        blocks = play([ReplaySource(tmp_path / "a.arrow")])
        assert [(b.symbol.tolist(), b.unknown) for b in blocks] == [([0, -1, 0], {1: ""})]


def test_csv_line_break_inside_quotes_is_two_lines_in_any_batch(tmp_path: Path) -> None:
    text = "note," + HEADER + f'"a\nb",{minute(0)},{OHLCV}\nc,{minute(1)},{OHLCV}\nd\r,{minute(2)},{OHLCV}\n'
    for batch_rows in (1, 100):
        times = [row.open_time for row in play_rows([write(tmp_path / "a.csv", text)], batch_rows=batch_rows)]
        assert times == [MALFORMED_TIME, T0, T0 + MINUTE_NS, MALFORMED_TIME]


def test_csv_that_breaks_off_in_its_header_or_never_ends_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(HEADER.encode())[:20])
    with pytest.raises(FeedError, match="cannot be read after row 0"):
        play([ReplaySource(tmp_path / "a.csv.gz", "AAA")])
    with pytest.raises(FeedError, match="row 2 has no line end"):
        play([write(tmp_path / "b.csv", lines(minute(0)) + "x" * (8 << 20))])


def test_many_rows_without_times_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", HEADER + f"x,{OHLCV}\n" * 20_000)
    with pytest.raises(FeedError, match=r"not one of its first 1\d{4} rows has a time"):
        play([source], batch_rows=1_000)


def test_span_without_rows_gives_nothing(tmp_path: Path) -> None:
    source = ReplaySource(write_csv(tmp_path / "a.csv", series([1.0] * 3_000)), "AAA")
    assert play([source], start_ns=T0 + 10**6 * MINUTE_NS, batch_rows=50) == []
    assert play([source], end_ns=T0, batch_rows=50) == []


def test_rows_that_lie_decades_apart_are_merged_too(tmp_path: Path) -> None:
    rows = bars("1990-01-02T12:00 1\n2024-01-02T12:00 2\n2024-01-02T12:01 3", day="")
    source = ReplaySource(write_csv(tmp_path / "a.csv", rows), "AAA")
    assert [len(block) for block in play([source], size=(2, 100))] == [2, 1]


def test_open_without_descriptors_left_says_what_to_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    paths = [write_csv(tmp_path / f"{index}.csv", series(rng.random(3_000).tolist())) for index in range(40)]
    small = [write_csv(tmp_path / f"small{index}.csv", series([1.0, 2.0])) for index in range(80)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 20, hard))
    try:
        with pytest.raises(FeedError, match=r"Too many open files.*raise LimitNOFILE="):
            play([ReplaySource(path, "AAA") for path in paths])
        assert len(play_rows([ReplaySource(path, "AAA") for path in small])) == 160
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_bars_of_a_line_that_is_none_names_it() -> None:
    with pytest.raises(ValueError, match="'12:00 1 2' is not a bar; write"):
        bars("12:00 1 2")
