from __future__ import annotations

import json
import sys
import types
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.cli.data import BLOCKS, coverage_picture
from stratd.cli.main import main
from stratd.feeds.inspect import FileReport
from stratd.model import Interval

Capture = pytest.CaptureFixture[str]


REPORT = FileReport(
    rows=4839, first_open_time=1_380_873_960_000_000_000, last_open_time=1_381_535_940_000_000_000, symbols=(),
    missing_minutes=915, missing_runs=441, longest_missing_run=17, breaks=5, break_minutes=5280, longest_gap_minutes=3360,
    longest_gap_open_time=1_380_931_200_000_000_000, duplicates=2, out_of_order=0, newest_first=False, malformed=1, misaligned=0,
    nan=0, bad_ohlc=0, non_positive=0, zero_volume=0, negative_volume=0, coverage=(0.0, 0.01, 0.5, 1.0),
)  # fmt: skip


@pytest.fixture
def bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("bars.csv").touch()
    return Path("bars.csv")


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **names: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, name, module)


def test_inspect_prints_what_is_in_a_file(bars: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    put_module(monkeypatch, "stratd.feeds.inspect", inspect_file=lambda path: replace(REPORT, symbols=("A", "B")))
    assert main(["data", "inspect", "bars.csv"]) == 0
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "file bars.csv",
        "rows 4,839",
        "symbols A, B",
        "span 2013-10-04 08:06Z to 2013-10-11 23:59Z (open times)",
        "missing 915 minutes in 441 gaps, the longest 17 minutes",
        "breaks 5 (nights, week-ends), the longest 3,360 minutes from 2013-10-05 00:00Z",
        "quality 0.8409 (minutes present / expected, breaks left out)",
        "no volume 0",
        "wrong rows duplicates: 2, time cannot be read: 1",
        "coverage | ▁▄█|",
        "a mark is 1/4 of the span; the higher, the more of its minutes are there",
    ]


def test_inspect_of_a_file_without_readable_rows_leaves_the_span_out(
    bars: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    empty = replace(REPORT, rows=1, first_open_time=None, last_open_time=None, duplicates=0, coverage=())
    put_module(monkeypatch, "stratd.feeds.inspect", inspect_file=lambda path: empty)
    assert main(["data", "inspect", "bars.csv"]) == 0
    out = capsys.readouterr().out
    assert "time cannot be read: 1" in out
    assert "span" not in out


def test_inspect_of_a_file_sorted_newest_first_says_that_gaps_are_not_counted(
    bars: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    put_module(monkeypatch, "stratd.feeds.inspect", inspect_file=lambda path: replace(REPORT, newest_first=True))
    assert main(["data", "inspect", "bars.csv"]) == 0
    out = capsys.readouterr().out
    assert "gaps        not counted: the file is sorted newest first" in out
    assert "quality" not in out


def test_inspect_of_a_shipped_file_finds_what_its_source_says(capsys: Capture) -> None:
    path = Path(__file__).parents[3] / "session_configs" / "sample_data" / "us_equity_2013-10" / "SPY.csv.gz"
    assert main(["data", "inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "4,839" in out
    assert "915 minutes in 441 gaps, the longest 17 minutes" in out


def test_inspect_with_json_prints_every_field(bars: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    put_module(monkeypatch, "stratd.feeds.inspect", inspect_file=lambda path: REPORT)
    assert main(["data", "inspect", "bars.csv", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == "bars.csv"
    assert set(document) == {"file", *(field.name for field in fields(FileReport))}
    assert document["coverage"] == [0.0, 0.01, 0.5, 1.0]


@pytest.mark.parametrize("argv", [["inspect", "bar.csv"], ["resample", "bar.csv", "--interval", "5m", "--out", "x.csv"]])
def test_data_of_a_missing_file_suggests_the_nearest(
    bars: Path, argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    put_module(monkeypatch, "stratd.feeds.inspect", inspect_file=None)
    assert main(["data", *argv]) == 2
    assert capsys.readouterr().err == "bar.csv: no such file; did you mean 'bars.csv'?\n"


@dataclass(frozen=True)
class Resampled:
    rows_in: int = 1000
    rows_out: int = 200
    rejected: dict[str, int] | None = None


def test_resample_hands_over_what_was_asked_for(bars: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    asked: list[tuple[Any, ...]] = []

    def resample_file(*arguments: Any) -> Resampled:
        asked.append(arguments)
        return Resampled(rejected={"nan": 3, "late": 0})

    put_module(monkeypatch, "stratd.system.resample", resample_file=resample_file)
    argv = ["data", "resample", "bars.csv", "--interval", "5m", "--calendar", "XNYS", "--extended-hours", "--out", "out.parquet"]
    assert main(argv) == 0
    assert asked == [(Path("bars.csv"), Interval("5m"), Path("out.parquet"), "XNYS", True)]
    assert capsys.readouterr().out == "out.parquet: 200 bars of 5m from 1,000 rows\nrejected nan: 3\n"
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": "bars.csv", "interval": "5m", "out": "out.parquet", "rows_in": 1000, "rows_out": 200, "rejected": {"nan": 3}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "out", "said"),
    [
        ("5x", "out.csv", "--interval: '5x' is not an interval"),
        ("5m", "out.xls", "'out.xls' must end in .csv, .csv.gz, .parquet"),
        ("5m", "bars.csv", "--out: bars.csv is the file that is read"),
    ],
)
def test_resample_with_a_wrong_option_is_refused(bars: Path, interval: str, out: str, said: str, capsys: Capture) -> None:
    assert main(["data", "resample", "bars.csv", "--interval", interval, "--out", out]) == 2
    assert said in capsys.readouterr().err


@given(st.lists(st.floats(0, 1), max_size=100))
def test_coverage_picture_is_as_high_as_the_share(coverage: list[float]) -> None:
    picture = coverage_picture(coverage)
    heights = [BLOCKS.index(mark) for mark in picture]
    assert len(heights) == len(coverage)
    for height, share in zip(heights, coverage, strict=True):
        assert (height == 0) == (share == 0)
        assert (height == 8) == (share == 1)
        assert abs(height - share * 8) <= 1
