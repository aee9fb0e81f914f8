from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator

from stratd.errors import ConfigError
from stratd.model import Instrument, Interval
from stratd.system.config import SessionConfig, load_session
from stratd.system.config_errors import format_path, validate_params

GOOD: dict[str, Any] = {
    "session_name": "demo",
    "speed_multiplier": 0,
    "calendar": "XNYS",
    "extended_hours": False,
    "session_data_config": {
        "symbols": ["SPY", {"symbol": "IBM", "tick": 0.01}],
        "streams": ["1m"],
        "history_bars": 1000,
        "streaming": {"data_upkeep": {"enabled": True, "derived_intervals": [5, 15]}},
    },
    "feed": {"type": "replay", "path": "data", "pattern": "{symbol}.csv.gz", "files": {}, "stamp": "open", "end": None},
    "window": 4096,
    "strategies": [
        {"name": "ma", "module": "strategies.examples.simple_ma_cross", "max_errors": 10, "config": {"fast_period": 10}}
    ],
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with data files, made the current one so that problems name files as a user would."""
    (tmp_path / "data").mkdir()
    for name in ("SPY.csv.gz", "IBM.csv.gz", "extra.csv"):
        (tmp_path / "data" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets `a.b.0.c` in a session."""

    def change(data: dict[str, Any]) -> None:
        *above, last = path.split(".")
        target: Any = data
        for part in above:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list):
            target[int(last)] = value
        else:
            target[last] = value

    return change


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        del data[key]

    return change


def rename(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data[new] = data.pop(old)

    return change


def problems_of(data: Any, name: str = "s.json") -> list[str]:
    Path(name).write_text(data if isinstance(data, str) else json.dumps(data))
    with pytest.raises(ConfigError) as caught:
        load_session(Path(name))
    assert caught.value.exit_code == 78
    return [str(problem) for problem in caught.value.problems]


SDC = "session_data_config"
NO_CHOICE = "is not one of the choices"
NO_MODULE = "must be a dotted module name such as strategies.examples.simple_ma_cross, or the path of a .py file"
DERIVED = f"{SDC}.streaming.data_upkeep.derived_intervals"

BROKEN: dict[str, tuple[Callable[[dict[str, Any]], None], list[str]]] = {
    "misspelt top-level key": (rename("calendar", "calender"), ["calender: unknown key; did you mean 'calendar'?"]),
    "misspelt key in place of the right one": (
        rename("window", "windwo"),
        ["windwo: unknown key; did you mean 'window'?"],
    ),
    "misspelt key that is required": (rename("strategies", "strategys"), ["strategys: unknown key; did you mean 'strategies'?"]),
    "key in the wrong place": (
        put("derived_intervals", [5]),
        [f"derived_intervals: unknown key here; did you mean '{DERIVED}'?"],
    ),
    "key that is near nothing": (
        put("feed.zzz", 1),
        ["feed.zzz: unknown key; allowed: type, path, pattern, files, stamp, start, end"],
    ),
    "misspelt key of a symbol": (
        put(f"{SDC}.symbols.1", {"symbol": "IBM", "tik": 0.01}),
        [f"{SDC}.symbols[1].tik: unknown key; did you mean 'tick'?"],
    ),
    "missing section": (drop("feed"), ["feed: is missing"]),
    "symbol missing": (put(f"{SDC}.symbols.1", {"tick": 0.01}), [f"{SDC}.symbols[1].symbol: is missing"]),
    "module missing": (put("strategies.0", {"name": "x"}), ["strategies[0].module: is missing"]),
    "speed": (put("speed_multiplier", 2), ["speed_multiplier: this version plays sessions data-driven only: write 0 (got 2)"]),
    "yes for true": (put("extended_hours", "yes"), ['extended_hours: must be true or false (got "yes")']),
    "one for true": (put("strategies.0.enabled", 1), ["strategies[0].enabled: must be true or false (got 1)"]),
    "text for a number": (put(f"{SDC}.history_bars", "1000"), [f'{SDC}.history_bars: must be a whole number (got "1000")']),
    "true for a number": (put("window", True), ["window: must be a whole number (got true)"]),
    "part of a number": (put("window", 1.5), ["window: must be a whole number (got 1.5)"]),
    "number too small": (put("window", 0), ["window: must be at least 1 (got 0)"]),
    "number too large": (put("block_minutes", 10**7), ["block_minutes: must be at most 1000000 (got 10000000)"]),
    "tick of nothing": (put("tick", 0), ["tick: must be above 0 (got 0)"]),
    "no symbols": (put(f"{SDC}.symbols", []), [f"{SDC}.symbols: must not be empty (got an empty list)"]),
    "symbols that are no list": (put(f"{SDC}.symbols", "SPY"), [f'{SDC}.symbols: must be a list (got "SPY")']),
    "symbol that is a number": (
        put(f"{SDC}.symbols.0", 5),
        [f'{SDC}.symbols[0]: must be text (in quotes) or an object such as {{"symbol": "SPY", "tick": 0.01}} (got 5)'],
    ),
    "symbol with a wildcard": (
        put(f"{SDC}.symbols.0", "SP*"),
        [f'{SDC}.symbols[0]: a symbol has no spaces and no wildcards (wildcards are for a strategy\'s own symbols) (got "SP*")'],
    ),
    "symbol twice": (
        put(f"{SDC}.symbols.1", "SPY"),
        [f'{SDC}.symbols[1]: stands twice, first as {SDC}.symbols[0] (got "SPY")'],
    ),
    "stream that the feed does not give": (put(f"{SDC}.streams", ["5m"]), [f"{SDC}.streams[0]: must be '1m' (got \"5m\")"]),
    "stream twice": (put(f"{SDC}.streams", ["1m", "1m"]), [f'{SDC}.streams[1]: stands twice (got "1m")']),
    "interval without a unit": (
        put(DERIVED, [5, "15"]),
        [f"{DERIVED}[1]: '15' is not an interval: write a number and m, h or d, such as 1m, 15m, 1h, 1d (got \"15\")"],
    ),
    "interval that is no whole minute": (
        put(DERIVED, [0.5]),
        [f"{DERIVED}[0]: 0.5 is not an interval: write a number and m, h or d, such as 1m, 15m, 1h, 1d (got 0.5)"],
    ),
    "interval of no minutes": (put(DERIVED, [0]), [f"{DERIVED}[0]: an interval is at least one minute, not 0 (got 0)"]),
    "interval of the feed": (
        put(DERIVED, [1]),
        [f"{DERIVED}[0]: 1m is what the feed gives; derive longer intervals only (got 1)"],
    ),
    "interval twice": (put(DERIVED, [60, "1h"]), [f'{DERIVED}[1]: 1h stands twice, first as {DERIVED}[0] (got "1h")']),
    "choice misspelt": (
        put("on_barrier_timeout", "quarantin"),
        [f"on_barrier_timeout: {NO_CHOICE} (got \"quarantin\"); did you mean 'quarantine'?; allowed: quarantine, abort"],
    ),
    "choice that is near nothing": (
        put("on_load_error", "x"),
        [f'on_load_error: {NO_CHOICE} (got "x"); allowed: abort, skip'],
    ),
    "feed of another kind": (put("feed.type", "kraken"), ["feed.type: must be 'replay' (got \"kraken\")"]),
    "feed that is a name": (put("feed", "data"), ['feed: must be an object (got "data")']),
    "feed without files": (
        put("feed", {"type": "replay"}),
        ["feed: says nowhere where the bars are; give path (with pattern), or files"],
    ),
    "directory misspelt": (put("feed.path", "date"), ["feed.path: no such directory (got \"date\"); did you mean 'data'?"]),
    "directory that is a file": (put("feed.path", "data/extra.csv"), ['feed.path: is not a directory (got "data/extra.csv")']),
    "placeholder misspelt": (
        put("feed.pattern", "{sym}.csv.gz"),
        ['feed.pattern: {symbol} is all that can stand in braces, not {sym} (got "{sym}.csv.gz")'],
    ),
    "pattern with another ending": (
        put("feed.pattern", "{symbol}.csv"),
        [
            "feed.pattern: no file for SPY (got \"data/SPY.csv\"); did you mean 'data/SPY.csv.gz'?",
            "feed.pattern: no file for IBM (got \"data/IBM.csv\"); did you mean 'data/IBM.csv.gz'?",
        ],
    ),
    "pattern that matches nothing": (
        put("feed.pattern", "*_{symbol}.csv"),
        [
            "feed.pattern: no file for SPY (got \"data/*_SPY.csv\"); did you mean 'data/SPY.csv.gz'?",
            "feed.pattern: no file for IBM (got \"data/*_IBM.csv\"); did you mean 'data/IBM.csv.gz'?",
        ],
    ),
    "files of an unknown symbol": (
        put("feed.files", {"IBN": "data/IBM.csv.gz"}),
        [f"feed.files.IBN: is not a symbol of this session; add it to {SDC}.symbols or leave it out; did you mean 'IBM'?"],
    ),
    "file missing": (
        put("feed.files", {"SPY": ["data/SPY.csv.gz", "data/SPX.csv.gz"]}),
        ["feed.files.SPY[1]: no such file (got \"data/SPX.csv.gz\"); did you mean 'data/SPY.csv.gz'?"],
    ),
    "symbol without files": (
        put("feed", {"files": {"SPY": "data/SPY.csv.gz"}}),
        ["feed.files: IBM has no files: give it an entry here, or give path and pattern"],
    ),
    "time without a zone": (
        put("feed.start", "2013-10-07T13:30:00"),
        ['feed.start: must say its zone; for UTC write 2013-10-07T13:30:00Z (got "2013-10-07T13:30:00")'],
    ),
    "time that is none": (
        put("feed.end", "yesterday"),
        ['feed.end: must be a time such as 2013-10-07T13:30:00Z, or a date such as 2013-10-07 (got "yesterday")'],
    ),
    "end before start": (
        put("feed", {"path": "data", "start": "2013-10-08", "end": "2013-10-08T00:00:00Z"}),
        ['feed.end: must be after start, which is 2013-10-08 (got "2013-10-08T00:00:00Z")'],
    ),
    "no strategies": (put("strategies", []), ["strategies: nothing to run: list at least one strategy"]),
    "all strategies switched off": (
        put("strategies.0.enabled", False),
        ["strategies: nothing to run: every strategy has enabled: false"],
    ),
    "two strategies of one name": (
        put("strategies", [{"module": "a.ma"}, {"module": "b.ma"}]),
        ['strategies[1]: two strategies would be called ma, this one and strategies[0]; give each its own name (got "ma")'],
    ),
    "module with a dash": (
        put("strategies.0.module", "strategies.ma-cross"),
        [f"strategies[0].module: {NO_MODULE} (got \"strategies.ma-cross\"); did you mean 'strategies.ma_cross'?"],
    ),
    "strategy name with a space": (
        put("strategies.0.name", "my ma"),
        ['strategies[0].name: must be letters, digits and _ . : - (got "my ma")'],
    ),
    "list for text": (put("calendar", ["x"]), ["calendar: must be text (got a list)"]),
    "very long text": (
        put("on_load_error", "x" * 99),
        [f'on_load_error: {NO_CHOICE} (got "{"x" * 56}...); allowed: abort, skip'],
    ),
    "session name with a slash": (
        put("session_name", "a/b"),
        ['session_name: names the session\'s directory of results, so it cannot hold / or \\ (got "a/b")'],
    ),
    "parameters that are a list": (put("strategies.0.config", [1]), ["strategies[0].config: must be an object (got a list)"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_load_session_of_a_broken_file_says_what_is_wrong(here: Path, case: str) -> None:
    change, expected = BROKEN[case]
    data = copy.deepcopy(GOOD)
    change(data)
    assert problems_of(data) == [f"s.json: {line}" for line in expected]


def test_load_session_with_many_mistakes_reports_all_in_the_order_of_the_file(here: Path) -> None:
    data = copy.deepcopy(GOOD)
    put("extended_hours", "no")(data)
    put(f"{SDC}.symbols", ["SPY", "SPY", 7])(data)
    put("feed", {"path": "dat", "stamp": "opn"})(data)
    rename("strategies", "strategys")(data)
    put("strategys.0.max_errors", -1)(data)
    keys = [line.split(": ")[1] for line in problems_of(data)]
    assert keys == [
        "extended_hours",
        f"{SDC}.symbols[1]",
        f"{SDC}.symbols[2]",
        "feed.path",
        "feed.stamp",
        "strategys",
        "strategies[0].max_errors",
    ]


def test_load_session_of_a_missing_file_suggests_the_nearest(here: Path) -> None:
    (here / "session_configs").mkdir()
    (here / "session_configs" / "demo.json").touch()
    with pytest.raises(ConfigError, match=r"^session_config/dmo.json: no such file; did you mean 'session_configs/demo.json'\?$"):
        load_session(Path("session_config/dmo.json"))


def test_load_session_of_a_good_file_gives_what_it_says(here: Path) -> None:
    Path("s.json").write_text(json.dumps(GOOD))
    config = load_session(here / "s.json")
    assert config.session_name == "demo"
    assert config.symbols == ("SPY", "IBM")
    assert config.derived_intervals == (Interval("5m"), Interval("15m"))
    assert config.history_bars == 1000
    assert config.strategies[0].config == {"fast_period": 10}
    assert config.file == here / "s.json"
    assert config.results_path == Path("results")
    assert config.replay().files == ((here / "data/SPY.csv.gz", "SPY"), (here / "data/IBM.csv.gz", "IBM"))


def test_load_session_with_little_said_fills_in_the_rest(here: Path) -> None:
    small = {
        "$schema": "session.schema.json",
        SDC: {"symbols": ["SPY"]},
        "feed": {"path": "data"},
        "strategies": [{"module": "strategies/mine.py"}, {"module": "a.b", "enabled": False}],
    }
    Path("small.json").write_text(json.dumps(small))
    config = load_session(Path("small.json"))
    assert config.session_name == "small"
    assert (config.calendar, config.window, config.on_load_error, config.on_barrier_timeout) == (
        "24/7",
        4096,
        "abort",
        "quarantine",
    )
    assert config.derived_intervals == ()
    assert [entry.name for entry in config.strategies] == ["mine", "b"]
    assert [(index, entry.name) for index, entry in config.enabled_strategies] == [(0, "mine")]


def test_instruments_take_the_defaults_of_the_session(here: Path) -> None:
    data = copy.deepcopy(GOOD)
    put("feed.files", {"extra": "data/extra.csv"})(data)
    data |= {"tick": 0.5, "extended_hours": True, "sends_empty_minutes": True, "account": {"sizing": None}}
    put(
        f"{SDC}.symbols",
        [
            "SPY",
            {"symbol": "IBM", "tick": None, "calendar": "24/7", "extended_hours": False, "lot": 10, "venue": "V", "quote": "EUR"},
            {"symbol": "extra", "min_notional": 5},
        ],
    )(data)
    Path("s.json").write_text(json.dumps(data))
    assert load_session(Path("s.json")).instruments() == (
        Instrument("SPY", tick=0.5, calendar="XNYS", extended_hours=True, sends_empty_minutes=True),
        Instrument("IBM", venue="V", tick=None, lot=10, quote="EUR", calendar="24/7", sends_empty_minutes=True),
        Instrument("extra", tick=0.5, calendar="XNYS", extended_hours=True, sends_empty_minutes=True, min_notional=5.0),
    )


def test_derived_intervals_switched_off_are_none(here: Path) -> None:
    data = copy.deepcopy(GOOD)
    put(f"{SDC}.streaming.data_upkeep.enabled", False)(data)
    Path("s.json").write_text(json.dumps(data))
    assert load_session(Path("s.json")).derived_intervals == ()


def test_session_config_cannot_be_changed(here: Path) -> None:
    Path("s.json").write_text(json.dumps(GOOD))
    config = load_session(Path("s.json"))
    with pytest.raises(ValidationError):
        config.window = 1  # type: ignore[misc]


def test_load_session_with_overrides_takes_them_instead(here: Path) -> None:
    data = copy.deepcopy(GOOD)
    put("speed_multiplier", 5)(data)
    Path("s.json").write_text(json.dumps(data))
    overrides = {"speed_multiplier": 0, "strategies[0].config.fast_period": 3, "feed.start": "2013-10-07"}
    config = load_session(Path("s.json"), overrides)
    assert config.strategies[0].config == {"fast_period": 3}
    assert config.replay().start_ns == 1_381_104_000_000_000_000


def test_load_session_with_an_override_that_has_no_place_is_refused(here: Path) -> None:
    Path("s.json").write_text(json.dumps(GOOD))
    with pytest.raises(ConfigError, match=r"strategies\[3\]\.name: cannot be overridden: the session has no such place"):
        load_session(Path("s.json"), {"strategies[3].name": "x"})


def test_every_field_of_a_session_is_described() -> None:
    def check(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"

    from stratd.system import account_config, config, feed_config, sizing_config

    models = [
        value
        for module in (config, feed_config, account_config, sizing_config)
        for value in vars(module).values()
        if isinstance(value, type)
    ]
    checked = [model for model in models if issubclass(model, feed_config.ConfigModel)]
    assert SessionConfig in checked
    for model in checked:
        check(model)


def test_format_path_quotes_keys_that_are_no_names() -> None:
    assert format_path(("feed", "files", "BRK.B", 0)) == 'feed.files["BRK.B"][0]'


class Params(BaseModel, extra="forbid"):
    fast_period: int = Field(10, ge=2, le=200)
    slow_period: int = Field(20, ge=2)
    kind: str | int = "a"

    @model_validator(mode="after")
    def _order(self) -> Params:
        if self.fast_period >= self.slow_period:
            raise ValueError("fast_period must be below slow_period")
        return self


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"fast_perod": 3}, ["strategies[0].config.fast_perod: unknown key; did you mean 'fast_period'?"]),
        ({"fast_period": 1, "slow_period": "x"}, [
            "strategies[0].config.fast_period: must be at least 2 (got 1)",
            'strategies[0].config.slow_period: must be a whole number (got "x")',
        ]),
        ({"fast_period": 30}, ["strategies[0].config: fast_period must be below slow_period"]),
        ({"kind": [1]}, ["strategies[0].config.kind: must be text, or must be a whole number (got a list)"]),
    ],
)  # fmt: skip
def test_validate_params_says_what_is_wrong(config: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_params(Params, config, "s.json", "strategies[0].config")
    assert [str(problem) for problem in caught.value.problems] == [f"s.json: {line}" for line in expected]


def test_validate_params_that_are_right_gives_the_model() -> None:
    assert validate_params(Params, {"fast_period": 5}, "s.json", "x") == Params(fast_period=5)


SHIPPED = sorted(path for path in (Path(__file__).parents[3] / "session_configs").iterdir() if path.is_file())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_sessions_are_right(path: Path) -> None:
    config = load_session(path)
    assert config.enabled_strategies
    assert len(config.replay().files) == len(config.symbols)
