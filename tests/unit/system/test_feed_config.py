from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.errors import ConfigError
from stratd.system.config import load_session
from stratd.system.feed_config import ReplayConfig, utc_ns


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-12 * 60, 14 * 60))
def test_utc_ns_of_any_time_in_any_zone_is_exact(naive: datetime, offset_minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    found = utc_ns(moment.isoformat())
    assert (found // 1000) == round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    assert found % 1000 == 0


def test_utc_ns_of_a_date_is_its_utc_midnight() -> None:
    assert utc_ns("2013-10-07") == utc_ns("2013-10-07T00:00:00Z") == 1_381_104_000_000_000_000


@pytest.mark.parametrize("text", ["2013-10-07T13:30", "2013-10-07 13:30:00", "", "7.10.2013", "2013-13-01"])
def test_utc_ns_of_an_unclear_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must (say its zone|be a time)"):
        utc_ns(text)


def make(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()


def test_resolve_takes_files_first_and_the_pattern_for_the_rest(tmp_path: Path) -> None:
    make(tmp_path, "d/A.csv", "d/B.csv", "b1.csv", "b2.csv")
    feed = ReplayConfig.model_validate(
        {"path": "d", "pattern": "{symbol}.csv", "files": {"B": ["b2.csv", "b1.csv"]}, "stamp": "close", "end": "2020-01-02"}
    )
    found = feed.resolve(tmp_path, ["B", "A"])
    assert found.files == ((tmp_path / "b2.csv", "B"), (tmp_path / "b1.csv", "B"), (tmp_path / "d/A.csv", "A"))
    assert (found.stamp, found.start_ns, found.end_ns) == ("close", None, 1_577_923_200_000_000_000)


def test_resolve_with_wildcards_takes_files_in_order_of_name(tmp_path: Path) -> None:
    make(tmp_path, "A_2.csv", "A_1.csv", "AB_1.csv", "x[1]_1.csv")
    feed = ReplayConfig(path=".", pattern="{symbol}_*.csv")
    assert [path.name for path, _ in feed.resolve(tmp_path, ["A"]).files] == ["A_1.csv", "A_2.csv"]
    assert [path.name for path, _ in feed.resolve(tmp_path, ["x[1]"]).files] == ["x[1]_1.csv"]


def test_resolve_with_a_pattern_for_all_symbols_gives_files_of_many(tmp_path: Path) -> None:
    make(tmp_path, "d/all.parquet", "a.csv")
    feed = ReplayConfig.model_validate({"path": "d", "pattern": "all.parquet", "files": {"A": "a.csv"}})
    assert feed.resolve(tmp_path, ["A", "B"]).files == ((tmp_path / "a.csv", "A"), (tmp_path / "d/all.parquet", None))
    assert feed.resolve(tmp_path, ["A"]).files == ((tmp_path / "a.csv", "A"),)
    with pytest.raises(ConfigError, match=r"feed.pattern: no such file \(got \"d/al.parquet\"\); did you mean 'd/all.parquet'\?"):
        ReplayConfig(path="d", pattern="al.parquet").resolve(tmp_path, ["B"])


def test_resolve_with_absolute_paths_takes_them_as_they_are(tmp_path: Path) -> None:
    make(tmp_path, "A.csv.gz")
    assert ReplayConfig(path=str(tmp_path)).resolve(Path("elsewhere"), ["A"]).files == ((tmp_path / "A.csv.gz", "A"),)
    with pytest.raises(ConfigError, match=f"did you mean '{tmp_path}/A.csv.gz'"):
        ReplayConfig.model_validate({"files": {"A": f"{tmp_path}/A.csv"}}).resolve(Path("elsewhere"), ["A"])


def test_resolve_of_files_that_have_gone_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "A.csv.gz")
    session = {"session_data_config": {"symbols": ["A"]}, "feed": {"path": "."}, "strategies": [{"module": "m"}]}
    (tmp_path / "s.json").write_text(json.dumps(session))
    config = load_session(tmp_path / "s.json")
    (tmp_path / "A.csv.gz").unlink()
    with pytest.raises(ConfigError, match=r"s.json: feed.pattern: no file for A"):
        config.replay()


def test_times_written_as_toml_times_are_taken(tmp_path: Path) -> None:
    make(tmp_path, "A.csv.gz")
    (tmp_path / "s.toml").write_text(
        'strategies = [{module = "m"}]\n[session_data_config]\nsymbols = ["A"]\n'
        '[feed]\npath = "."\nstart = 2013-10-07\nend = 2013-10-07T13:30:00-04:00\n'
    )
    found = load_session(tmp_path / "s.toml").replay()
    assert (found.start_ns, found.end_ns) == (utc_ns("2013-10-07"), utc_ns("2013-10-07T17:30:00Z"))
