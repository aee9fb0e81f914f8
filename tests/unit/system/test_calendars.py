from __future__ import annotations

import logging
import os
import subprocess
import sys
import timeit
from pathlib import Path

import exchange_calendars
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.data.calendars import CalendarTable, grid_of, session_at
from stratd.errors import CalendarError
from stratd.model import MINUTE_NS, Interval
from stratd.system import calendars
from stratd.system.calendars import load_calendar

TODAY = "2026-03-02T12:00"


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


class StoppedClock:
    """A clock that stands still."""

    def __init__(self, text: str = TODAY) -> None:
        self.now = ns(text)

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STRATD_CACHE_DIR", str(tmp_path))
    return tmp_path / "calendars"


@pytest.fixture
def no_building(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the table was built again")

    monkeypatch.setattr(calendars, "_build", refuse)


def phases(table: CalendarTable, day: str) -> list[tuple[str, str, int]]:
    """Open, close (HH:MM UTC) and regular flag of the phases of the session that a time lies in."""
    at = session_at(table, ns(day))
    assert at >= 0
    chosen = np.flatnonzero(table.phase_session == at)
    return [(clock_text(table.phase_open[p]), clock_text(table.phase_close[p]), int(table.phase_regular[p])) for p in chosen]


def clock_text(t_ns: int) -> str:
    return str(np.datetime64(int(t_ns), "ns"))[11:16]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["XNYS", "XHKG", "XTKS", "XASX", "CMES", "NASDAQ"])
def test_load_calendar_equals_the_librarys_trading_minutes(name: str) -> None:
    table = load_calendar(name, clock=StoppedClock())
    library = exchange_calendars.get_calendar(name, start="2014-01-02", end="2016-06-30")
    expected = library.minutes.as_unit("ns").asi8
    first, last = int(library.opens_nanos[0]), int(library.closes_nanos[-1])
    chosen = (table.phase_open >= first) & (table.phase_close <= last)
    assert table.phase_regular.all()
    spans = zip(table.phase_open[chosen], table.phase_close[chosen], strict=True)
    np.testing.assert_array_equal(np.concatenate([np.arange(a, b, MINUTE_NS) for a, b in spans]), expected)


def test_load_calendar_new_york_october_2013_has_sessions_on_its_23_weekdays() -> None:
    table = load_calendar("XNYS", clock=StoppedClock())
    inside = (table.session_open >= ns("2013-10-01")) & (table.session_open < ns("2013-11-01"))
    days = {str(np.datetime64(int(t), "ns"))[:10] for t in table.session_open[inside]}
    assert days == {f"2013-10-{day:02}" for day in range(1, 32) if day % 7 not in (5, 6)}
    assert {clock_text(t) for t in table.session_open[inside]} == {"13:30"}


def test_load_calendar_new_york_keeps_its_local_hours_over_a_change_of_clocks() -> None:
    table = load_calendar("XNYS", clock=StoppedClock())
    assert phases(table, "2011-03-11T15:00") == [("14:30", "21:00", 1)]
    assert phases(table, "2011-03-14T15:00") == [("13:30", "20:00", 1)]
    assert session_at(table, ns("2011-03-13T15:00")) == -1
    assert phases(table, "2019-02-15T15:00") == [("14:30", "21:00", 1)]
    assert session_at(table, ns("2019-02-18T15:00")) == -1


def test_load_calendar_extended_hours_add_pre_and_post_market_in_local_time() -> None:
    table = load_calendar("XNYS", True, StoppedClock())
    assert table.extended_hours
    assert phases(table, "2011-03-11T15:00") == [("09:00", "14:30", 0), ("14:30", "21:00", 1), ("21:00", "01:00", 0)]
    assert phases(table, "2011-03-14T15:00") == [("08:00", "13:30", 0), ("13:30", "20:00", 1), ("20:00", "00:00", 0)]
    assert phases(table, "2015-12-24T15:00") == [("09:00", "14:30", 0), ("14:30", "18:00", 1), ("18:00", "22:00", 0)]
    regular = load_calendar("XNYS", False, StoppedClock())
    chosen = table.phase_regular == 1
    assert table.phase_open[chosen].tolist() == regular.phase_open.tolist()
    assert table.regular_minutes_before[chosen].tolist() == regular.regular_minutes_before.tolist()


def test_load_calendar_lunch_break_splits_the_regular_hours() -> None:
    tokyo = load_calendar("XTKS", clock=StoppedClock())
    assert phases(tokyo, "2019-06-03T01:00") == [("00:00", "02:30", 1), ("03:30", "06:00", 1)]
    hong_kong = load_calendar("XHKG", clock=StoppedClock())
    assert phases(hong_kong, "2019-06-03T02:00") == [("01:30", "04:00", 1), ("05:00", "08:00", 1)]
    # The day before the lunar new year has only a morning.
    assert phases(hong_kong, "2019-02-04T02:00") == [("01:30", "04:00", 1)]
    hour = grid_of(hong_kong, Interval("1h"))
    assert hour.bucket(ns("2019-06-03T03:45")) == (ns("2019-06-03T03:30"), ns("2019-06-03T04:00"))
    assert hour.bucket(ns("2019-06-03T04:15")) is None
    assert hour.bucket(ns("2019-06-03T05:15")) == (ns("2019-06-03T05:00"), ns("2019-06-03T06:00"))


def test_load_calendar_sessions_over_utc_midnight_stay_whole() -> None:
    sydney = load_calendar("XASX", clock=StoppedClock())
    # 10:00 to 16:00 in Sydney is 23:00 to 05:00 UTC in summer.
    assert phases(sydney, "2019-01-14T23:30") == [("23:00", "05:00", 1)]
    assert session_at(sydney, ns("2019-01-14T23:59")) == session_at(sydney, ns("2019-01-15T00:00"))
    chicago = load_calendar("CMES", clock=StoppedClock())
    day = grid_of(chicago, Interval("1d")).bucket(ns("2019-06-04T00:00"))
    assert day == (ns("2019-06-03T22:00"), ns("2019-06-04T22:00"))


def test_load_calendar_reaches_from_1993_to_a_year_ahead() -> None:
    table = load_calendar("XNYS", clock=StoppedClock())
    assert str(np.datetime64(table.bounds[0], "ns"))[:10] == "1993-01-04"
    assert 355 <= table.days_left(ns(TODAY)) <= 365
    # Tokyo's is only known from 1997 on.
    assert str(np.datetime64(load_calendar("XTKS", clock=StoppedClock()).bounds[0], "ns"))[:7] == "1997-01"


def test_load_calendar_around_the_clock_needs_no_library(no_building: None) -> None:
    assert load_calendar("24/7").is_utc
    assert load_calendar("24/7", True).is_utc


def test_load_calendar_unknown_name_says_what_was_meant(cache: Path) -> None:
    with pytest.raises(CalendarError, match=r"'XNYSE' is unknown; did you mean 'XNYS'\? Known are: .*24/7"):
        load_calendar("XNYSE")
    with pytest.raises(CalendarError, match="did you mean 'XNYS'"):
        load_calendar("xnys")
    assert not cache.exists()


def test_load_calendar_extended_hours_unknown_says_which_are_known() -> None:
    with pytest.raises(CalendarError, match=r"XTKS: its extended hours are not known, .*: .*NASDAQ.*XNYS"):
        load_calendar("XTKS", True)


def test_load_calendar_the_library_fails_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ValueError("Special dates are not sessions")

    monkeypatch.setattr(exchange_calendars, "get_calendar", fail)
    with pytest.raises(
        CalendarError, match="XNYS: exchange_calendars .* cannot build it: Special dates are not sessions; use another"
    ):
        load_calendar("XNYS")


def test_load_calendar_kept_is_the_same_table_in_milliseconds(request: pytest.FixtureRequest) -> None:
    built = {extended: load_calendar("XNYS", extended, StoppedClock()) for extended in (False, True)}
    request.getfixturevalue("no_building")
    for extended, table in built.items():
        kept = load_calendar("XNYS", extended, StoppedClock())
        for name in CalendarTable.__slots__:
            np.testing.assert_array_equal(getattr(kept, name), getattr(table, name))
    assert min(timeit.repeat(lambda: load_calendar("XNYS", True, StoppedClock()), number=1, repeat=5)) < 0.015


def test_load_calendar_kept_imports_neither_pandas_nor_the_library() -> None:
    load_calendar("XNYS", True, StoppedClock())
    program = (
        "import sys\n"
        "from stratd.system.calendars import load_calendar\n"
        "class Stopped:\n"
        f"    def now_ns(self): return {ns(TODAY)}\n"
        "    def monotonic_ns(self): return 0\n"
        "assert load_calendar('XNYS', True, Stopped()).days_left(Stopped().now_ns()) > 300\n"
        "print(sorted({'pandas', 'exchange_calendars', 'numba'} & set(sys.modules)))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("later", "built_again"), [("2026-04-20", False), ("2026-06-01", True), ("2013-10-01", False)])
def test_load_calendar_kept_is_built_again_only_when_its_end_comes_near(
    later: str, built_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = load_calendar("XNYS", clock=StoppedClock()).bounds[1]
    asked: list[object] = []
    build = calendars._build
    monkeypatch.setattr(calendars, "_build", lambda *arguments: asked.append(1) or build(*arguments))
    for _ in range(2):
        table = load_calendar("XNYS", clock=StoppedClock(later))
    assert len(asked) == built_again
    assert (table.bounds[1] > end) is built_again


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_load_calendar_kept_at_the_librarys_limit_is_not_built_again(request: pytest.FixtureRequest) -> None:
    latest = exchange_calendars.get_calendar("XSHG").bound_max()
    near = StoppedClock((latest.to_pydatetime().date()).replace(month=6, day=1).isoformat())
    table = load_calendar("XSHG", clock=near)
    assert 0 < table.days_left(near.now_ns()) < 300
    request.getfixturevalue("no_building")
    assert load_calendar("XSHG", clock=near).bounds == table.bounds


def test_load_calendar_other_edition_of_the_time_zone_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    load_calendar("XNYS", clock=StoppedClock())
    assert calendars._read(calendars._path("XNYS", False)) is not None
    monkeypatch.setattr(calendars, "_zone_digest", lambda zone: "another")
    assert calendars._read(calendars._path("XNYS", False)) is None


def test_load_calendar_cache_file_names_stay_in_their_directory(cache: Path) -> None:
    load_calendar("24/5", clock=StoppedClock())
    (file,) = cache.iterdir()
    assert file.name.startswith("24%2F5-regular-")
    assert file.suffix == ".npz"
    assert calendars._path("../../x", False).parent == cache


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_damaged_file_is_none_or_the_table_never_an_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "kept.npz"
    sessions = np.arange(12, dtype=np.int64).reshape(2, 6) * MINUTE_NS
    kept = calendars._Kept(sessions, True, "America/New_York", calendars._zone_digest("America/New_York"))
    calendars._write(path, kept)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = calendars._read(path)
    if found is not None:
        np.testing.assert_array_equal(found.sessions, sessions)
        assert found.is_limit


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04"])
def test_load_calendar_damaged_file_is_built_again_and_replaced(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    expected = load_calendar("XNYS", clock=StoppedClock())
    path = calendars._path("XNYS", False)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert load_calendar("XNYS", clock=StoppedClock()).bounds == expected.bounds
    assert "cannot be read and is built again" in caplog.text
    assert calendars._read(path) is not None
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_load_calendar_kept_sessions_out_of_order_are_built_again(caplog: pytest.LogCaptureFixture) -> None:
    expected = load_calendar("XNYS", clock=StoppedClock())
    path = calendars._path("XNYS", False)
    kept = calendars._read(path)
    assert kept is not None
    calendars._write(path, calendars._Kept(kept.sessions[::-1], True, kept.zone, kept.zone_digest))
    with caplog.at_level(logging.WARNING):
        assert load_calendar("XNYS", clock=StoppedClock()).bounds == expected.bounds
    assert "is damaged" in caplog.text


def test_load_calendar_unwritable_cache_builds_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a directory")
    monkeypatch.setenv("STRATD_CACHE_DIR", str(in_the_way))
    with caplog.at_level(logging.WARNING):
        assert len(load_calendar("XNYS", clock=StoppedClock()).session_open) > 8000
    assert "STRATD_CACHE_DIR" in caplog.text
