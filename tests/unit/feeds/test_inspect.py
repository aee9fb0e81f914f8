"""inspect_file: counts that can be checked by hand, and against the table that came with the data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from stratd.errors import FeedError
from stratd.feeds.inspect import FileReport, inspect_file
from stratd.model.interval import MINUTE_NS
from stratd.testing.bars import bars, nanoseconds, series, write_csv
from tests.support.paths import shared_data

DIRTY = """timestamp,open,high,low,close,volume
2024-01-02T12:00:00Z,100,101,99,100,10
2024-01-02T12:01:00Z,100,101,99,100,0
2024-01-02T12:01:00Z,100,101,99,100,0
2024-01-02T12:05:00Z,100,101,99,100,10
2024-01-02T12:04:00Z,100,101,99,100,10
not a time,100,101,99,100,10
2024-01-02T12:06:30Z,100,101,99,100,10
2024-01-02T12:08:00Z,100,99,101,100,10
2024-01-02T12:09:00Z,100,101,-1,100,-10
2024-01-02T12:10:00Z,x,101,99,100,10
2024-01-02T12:11:00Z,100
2024-01-02T20:00:00Z,100,101,99,100,10
"""


@pytest.mark.parametrize("batch_rows", [1, 3, 1_000])
def test_inspect_counts_each_kind_of_dirt_once(tmp_path: Path, batch_rows: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(DIRTY)
    assert inspect_file(path, "AAA", buckets=2, batch_rows=batch_rows) == FileReport(
        rows=12,
        first_open_time=nanoseconds("2024-01-02T12:00:00Z"),
        last_open_time=nanoseconds("2024-01-02T20:00:00Z"),
        symbols=("AAA",),
        missing_minutes=3 + 1,
        missing_runs=2,
        longest_missing_run=3,
        breaks=1,
        break_minutes=468,
        longest_gap_minutes=468,
        longest_gap_open_time=nanoseconds("2024-01-02T12:12:00Z"),
        duplicates=1,
        out_of_order=1,
        newest_first=False,
        malformed=1,
        misaligned=1,
        nan=2,
        bad_ohlc=1,
        non_positive=1,
        zero_volume=2,
        negative_volume=1,
        coverage=(pytest.approx(10 / 240.5), pytest.approx(1 / 240.5)),
    )


def test_inspect_many_symbols_are_counted_each_by_itself(tmp_path: Path) -> None:
    rows = bars("AAA 12:00 1\nBBB 12:00 1\nAAA 12:01 1\nAAA 12:02 1\nBBB 12:02 1\nAAA 12:03 1")
    path = write_csv(tmp_path / "a.csv", rows, symbol_column=True)
    whole, one = inspect_file(path, buckets=2), inspect_file(path, "BBB", buckets=1)
    assert (whole.rows, whole.symbols, whole.missing_minutes, whole.coverage) == (6, ("AAA", "BBB"), 1, (0.75, 0.75))
    assert (one.rows, one.symbols, one.missing_minutes, one.coverage) == (2, ("BBB",), 1, (pytest.approx(2 / 3),))


def test_inspect_newest_first_and_symbol_after_symbol_are_said_not_raised(tmp_path: Path) -> None:
    backwards = inspect_file(write_csv(tmp_path / "a.csv", series([1, 2, 3, 4])[::-1]))
    assert (backwards.newest_first, backwards.rows, backwards.out_of_order) == (True, 4, 3)
    assert backwards.first_open_time == nanoseconds("2024-01-02T12:00:00Z")
    grouped = [*series([1, 2, 3]), *series([1, 2, 3], symbol="BBB")]
    report = inspect_file(write_csv(tmp_path / "b.csv", grouped, symbol_column=True))
    assert (report.out_of_order, report.missing_minutes, report.newest_first) == (0, 0, False)


def test_inspect_file_without_rows_or_times_has_none(tmp_path: Path) -> None:
    empty = inspect_file(write_csv(tmp_path / "a.csv", []))
    assert (empty.rows, empty.first_open_time, empty.coverage) == (0, None, ())
    (tmp_path / "b.csv").write_text("timestamp,open,high,low,close,volume\nx,1,1,1,1,1\n")
    assert inspect_file(tmp_path / "b.csv").malformed == 1


def test_inspect_file_that_is_absent_raises(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="no such file"):
        inspect_file(tmp_path / "a.csv")


def test_inspect_coverage_of_a_span_beyond_the_bins_equals_a_histogram(tmp_path: Path) -> None:
    start = nanoseconds("2024-03-01T00:00:00Z")
    rng = np.random.default_rng(7)
    minutes = np.sort(rng.choice(60_000, 3_000, replace=False))
    minutes = np.concatenate((minutes[1_000:], minutes[:1_000]))  # the early ones come late: the bins grow both ways
    rows = [row._replace(open_time=start + int(m) * MINUTE_NS) for row, m in zip(series([1.0] * 3_000), minutes, strict=True)]
    report = inspect_file(write_csv(tmp_path / "a.csv", rows), buckets=10, batch_rows=100)
    expected, edges = np.histogram(minutes, bins=10, range=(minutes.min(), minutes.max() + 1))
    assert report.coverage == pytest.approx((expected / np.diff(edges)).tolist(), abs=0.002)


@pytest.mark.shared_data
@pytest.mark.parametrize("folder", ["us_equity", "us_equity_basket_2019-02"])
def test_inspect_real_files_agrees_with_the_table_that_describes_them(folder: str) -> None:
    data = shared_data()
    section = (data / "README.md").read_text().split(f"### bars/{folder}/\n")[1].split("\n### ")[0]
    row = re.compile(r"\| `([^`]+)` \| \S+ \| (\S+) \| (\S+) \| (\d+) \| (\d+)(?: \((\d+); (\d+)\))? \| (\d+) \| (\d+) \|")
    found = row.findall(section)
    assert len(found) >= 13
    for name, first, last, rows, missing, runs, longest, breaks, quiet in found:
        report = inspect_file(data / "bars" / folder / name)
        counts = (
            report.rows,
            report.missing_minutes,
            report.missing_runs,
            report.longest_missing_run,
            report.breaks,
            report.zero_volume,
        )
        assert counts == tuple(int(number or 0) for number in (rows, missing, runs, longest, breaks, quiet)), name
        assert (report.first_open_time, report.last_open_time) == (nanoseconds(first), nanoseconds(last)), name
        assert (
            report.duplicates + report.out_of_order + report.malformed + report.nan + report.bad_ohlc + report.misaligned == 0
        ), name
