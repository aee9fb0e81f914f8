"""Derived bars of real market data, against pandas and against a calendar that was written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest

from stratd.model import BarFlags, Interval
from stratd.system.config import SessionConfig
from stratd.system.resample import resample_file
from tests.support.calendar_oracle import read_bars, session_resample
from tests.support.paths import repo_root, shared_data
from tests.support.replays import Played, entry, play, session

SHIPPED: Final = repo_root() / "session_configs" / "sample_data"
PRICES: Final = ["open", "high", "low", "close"]
UTC_ALIGNED: Final = ("5m", "15m", "30m", "1h")
SESSION_ALIGNED: Final = ("15m", "30m", "1h")


def files_below(directory: Path) -> list[Path]:
    """Known when tests are collected, so that each file is a test of its own; one that stands for all where there are none."""
    return sorted(directory.rglob("*.csv.gz")) or [directory / "absent"]


SHARED: Final = repo_root().parent / "shared" / "data" / "bars"


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.csv.gz')}"


def play_files(files: dict[str, Path], intervals: tuple[str, ...], **more: Any) -> Played:
    strategy = entry("recorders", "BarRecorder", "derived", streams=[["*", interval] for interval in intervals])
    feed = {"files": {symbol: [str(path)] for symbol, path in files.items()}}
    return play(SessionConfig.model_validate(session(list(files), intervals, [strategy], feed=feed, **more)), None)


def bars_of(played: Played, symbol: str, interval: str) -> pd.DataFrame:
    """What the strategy was given of one stream, bar by bar."""
    given = [seen.bar for seen in played.seen("derived") if seen.bar is not None and seen[2:4] == (symbol, interval)]
    columns = ["open_time", "close_time", *PRICES, "volume", "n", "lost", "quiet", "flags"]
    return pd.DataFrame(given, columns=columns).astype({"flags": "int64"})


def utc_resample(frame: pd.DataFrame, interval: str) -> pd.DataFrame:
    """The oracle: pandas. Buckets without rows are left out."""
    minutes = Interval(interval).minutes
    index = pd.DatetimeIndex(pd.to_datetime(frame["timestamp"], utc=True)).as_unit("ns")
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "n": "sum"}
    rows = frame.assign(n=1).set_index(index).resample(f"{minutes}min", origin="epoch").agg(how)
    rows = rows[rows["n"] > 0]
    opened = rows.index.asi8
    return rows.reset_index(drop=True).assign(open_time=opened, close_time=opened + minutes * 60_000_000_000)


def assert_same_bars(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert got["open_time"].tolist() == expected["open_time"].tolist()
    assert got["close_time"].tolist() == expected["close_time"].tolist()
    assert got["n"].tolist() == expected["n"].tolist()
    for name in PRICES:
        np.testing.assert_array_equal(got[name].to_numpy(), expected[name].to_numpy(), err_msg=name)
    np.testing.assert_allclose(got["volume"].to_numpy(), expected["volume"].to_numpy(), rtol=1e-9, atol=0)


def assert_honest_about_absent_minutes(got: pd.DataFrame, interval: str) -> None:
    """These files have nothing that is wrong, only minutes without trades; here no bucket has a break in it."""
    span = (got["close_time"] - got["open_time"]) // 60_000_000_000
    assert (got["n"] + got["quiet"] == span).all()
    assert (got["lost"] == 0).all()
    flags = np.where(got["n"] < span, BarFlags.INCOMPLETE, 0) + np.where(span < Interval(interval).minutes, BarFlags.TRUNCATED, 0)
    np.testing.assert_array_equal(got["flags"].to_numpy(), flags)


def check_utc_aligned(path: Path) -> None:
    frame = read_bars(path)
    played = play_files({"X": path}, UTC_ALIGNED)
    assert played.result.rejected == {}
    assert played.result.bars_in == len(frame)
    for interval in UTC_ALIGNED:
        got = bars_of(played, "X", interval)
        assert_same_bars(got, utc_resample(frame, interval))
        assert_honest_about_absent_minutes(got, interval)
        assert played.result.bars_derived[interval] == len(got)


def check_session_aligned(path: Path, extended: bool) -> None:
    frame = read_bars(path)
    played = play_files({"X": path}, SESSION_ALIGNED, calendar="XNYS", extended_hours=extended)
    for interval in SESSION_ALIGNED:
        expected = session_resample(frame, Interval(interval).minutes, extended)
        got = bars_of(played, "X", interval)
        assert_same_bars(got, expected)
        assert_honest_about_absent_minutes(got, interval)
        assert played.result.bars_in == expected["n"].sum()
    assert played.result.rejected.get("outside_session", 0) == len(frame) - played.result.bars_in
    assert set(played.result.rejected) <= {"outside_session"}


@pytest.mark.shared_data
@pytest.mark.parametrize("path", files_below(SHARED), ids=name_of)
def test_utc_aligned_bars_of_every_file_equal_pandas_resample(path: Path) -> None:
    shared_data()
    check_utc_aligned(path)


@pytest.mark.shared_data
@pytest.mark.parametrize("extended", [False, True], ids=["regular", "extended"])
@pytest.mark.parametrize(
    "path", [path for path in files_below(SHARED) if "us_equity" in path.parent.name or path.name == "absent"], ids=name_of
)
def test_session_aligned_bars_of_us_equities_equal_the_calendar_oracle(path: Path, extended: bool) -> None:
    shared_data()
    check_session_aligned(path, extended)


@pytest.mark.parametrize("path", files_below(SHIPPED), ids=name_of)
def test_bars_of_shipped_files_equal_pandas_and_the_calendar_oracle(path: Path) -> None:
    check_utc_aligned(path)
    check_session_aligned(path, extended=False)
    check_session_aligned(path, extended=True)


@pytest.mark.parametrize("folder", ["us_equity_2013-10", "us_equity_2019-02"])
def test_bars_of_many_symbols_at_once_are_those_of_each_alone(folder: str) -> None:
    files = {path.name.removesuffix(".csv.gz"): path for path in sorted((SHIPPED / folder).glob("*.csv.gz"))}
    together = play_files(files, SESSION_ALIGNED, calendar="XNYS", extended_hours=True)
    for symbol, path in files.items():
        for interval in SESSION_ALIGNED:
            assert_same_bars(
                bars_of(together, symbol, interval), session_resample(read_bars(path), Interval(interval).minutes, True)
            )


def test_regular_bars_are_the_same_with_extended_hours_on_and_off() -> None:
    path = SHIPPED / "us_equity_2013-10" / "IBM.csv.gz"
    off, on = (
        bars_of(play_files({"X": path}, ("1h",), calendar="XNYS", extended_hours=extended), "X", "1h")
        for extended in (False, True)
    )
    regular = on[on["open_time"].isin(off["open_time"])].reset_index(drop=True)
    assert len(off) < len(on)
    pd.testing.assert_frame_equal(regular, off)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("calendar", ["24/7", "XNYS"])
def test_resampled_file_holds_what_a_session_derives(tmp_path: Path, calendar: str, ending: str) -> None:
    path, out = SHIPPED / "us_equity_2019-02" / "TRV.csv.gz", tmp_path / f"TRV_30m{ending}"
    report = resample_file(path, Interval("30m"), out, calendar)
    written = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
    for name in ("timestamp", "close_time"):
        times = pd.DatetimeIndex(pd.to_datetime(written[name], utc=True)).as_unit("ns").asi8
        written["open_time" if name == "timestamp" else name] = times
    frame = read_bars(path)
    assert_same_bars(written, utc_resample(frame, "30m") if calendar == "24/7" else session_resample(frame, 30, False))
    assert_honest_about_absent_minutes(written, "30m")
    assert (report.rows_in, report.rows_out, report.rejected) == (len(frame), len(written), {})
