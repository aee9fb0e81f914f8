from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from stratd.cli.listing import describe_params, type_text
from stratd.cli.main import main
from stratd.core.kernel import Kernel
from stratd.indicators.catalogue.listing import CATALOGUE
from stratd.model import Interval
from stratd.strategy.params import StrategyParams

Capture = pytest.CaptureFixture[str]

STRATEGY = '''
"""A module."""
from pydantic import Field
from stratd import Strategy, StrategyParams

class FadeParams(StrategyParams):
    period: int = Field(20, ge=2, le=500, description="bars in the mean", json_schema_extra={"search": [10, 20]})

class Fade(Strategy[FadeParams]):
    """Fades moves.

    At length.
    """
    Params = FadeParams

    def on_bars(self, symbol, interval):
        pass
'''


@pytest.fixture
def project(session_file: Path) -> Path:
    """A directory with two strategies, one of them broken, and two sessions, one of them broken."""
    here = Path.cwd()
    for name in ("strategies", "session_configs"):
        (here / name).mkdir()
    (here / "strategies" / "fade.py").write_text(STRATEGY)
    (here / "strategies" / "oops.py").write_text("import nothing_of_that_name\n")
    session = json.loads(session_file.read_text())
    session["feed"]["path"] = ".."
    (here / "session_configs" / "good.json").write_text(json.dumps(session))
    (here / "session_configs" / "bad.yaml").write_text("window: 0\n")
    (here / "session_configs" / "notes.txt").write_text("not a session")
    return here


def test_list_prints_strategies_with_parameters_and_sessions(project: Path, capsys: Capture) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines()]
    assert "strategies.fade  Fade" in lines
    assert "Fades moves." in lines
    assert "period int 20 ≥ 2 and ≤ 500 10, 20 bars in the mean" in [" ".join(line.split()) for line in lines]
    assert "cannot be loaded: strategies.oops" in out
    assert "nothing_of_that_name" in out
    assert "strategies  first, second" in lines
    assert any(line.endswith("problems: stratd check session_configs/bad.yaml") for line in lines)
    assert "notes.txt" not in out


def test_list_with_json_says_the_same_in_plain_values(project: Path, capsys: Capture) -> None:
    assert main(["list", "strategies", "--json", "--dir", str(project)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"strategies"}
    fade, oops = document["strategies"]
    assert (fade["module"], fade["class"], fade["summary"], fade["error"]) == ("strategies.fade", "Fade", "Fades moves.", None)
    period = next(item for item in fade["parameters"] if item["name"] == "period")
    assert period == {
        "name": "period", "type": "int", "required": False, "default": 20, "bounds": "≥ 2 and ≤ 500",
        "search": [10, 20], "description": "bars in the mean",
    }  # fmt: skip
    assert (oops["class"], oops["parameters"]) == (None, [])
    assert "nothing_of_that_name" in oops["error"]


def test_list_of_sessions_with_json_gives_their_problems(project: Path, capsys: Capture) -> None:
    assert main(["list", "sessions", "--json"]) == 0
    bad, good = json.loads(capsys.readouterr().out)["sessions"]
    assert good == {
        "file": "session_configs/good.json", "session": "tiny", "symbols": ["A", "B"],
        "strategies": ["first", "second"], "problems": [],
    }  # fmt: skip
    assert "session_configs/bad.yaml: window: must be at least 1 (got 0)" in bad["problems"]


def test_list_where_there_is_nothing_says_so(tmp_path: Path, capsys: Capture) -> None:
    assert main(["list", "--dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out.replace("\n", " ")
    assert "no strategies under" in out
    assert "no sessions under" in out


class Colour(Enum):
    RED = "red"


class Odd(StrategyParams):
    must: float = Field(gt=0, lt=1.5)
    colour: Colour = Colour.RED
    names: dict[str, int] = Field(default_factory=dict)


def test_describe_params_gives_plain_json_values() -> None:
    found = {item["name"]: item for item in describe_params(Odd)}
    assert json.loads(json.dumps(found)) == found
    assert (found["must"]["required"], found["must"]["bounds"]) == (True, "> 0 and < 1.5")
    assert (found["colour"]["default"], found["names"]["default"]) == ("red", {})
    assert (found["interval"]["type"], found["interval"]["default"]) == ("Interval", "5m")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "int"),
        (tuple[str, ...], "tuple[str, ...]"),
        (int | None, "int | None"),
        (Literal["fast", "slow"], "'fast' | 'slow'"),
        (dict[str, list[Interval]], "dict[str, list[Interval]]"),
        (Any, "Any"),
    ],
)
def test_type_text_reads_as_it_is_written(annotation: Any, expected: str) -> None:
    assert type_text(annotation) == expected


# Indicators.

AVERAGES = '''
from stratd import EMA, SMA, Strategy
from stratd.indicators import MACD
from stratd.indicators.user import PythonIndicator


class Half(PythonIndicator):
    inputs = (SMA(10),)

    def update(self, mean):
        return mean / 2


class Averages(Strategy):
    """Asks for indicators."""

    def setup(self, ctx):
        for symbol in ctx.subscribe("*", "5m"):
            ctx.indicator(EMA(12), symbol, "5m", name="fast")
            ctx.indicator(MACD(), symbol, "5m")
        ctx.indicator(SMA(10), "A", "5m", dtype="float32", private=True)
        ctx.indicator(Half(), "A", "5m", name="half")

    def on_bars(self, symbol, interval):
        pass
'''


@pytest.fixture
def averages(session_file: Path) -> Path:
    """A session of two strategies that ask for the same."""
    (session_file.parent / "strategies").mkdir()
    (session_file.parent / "strategies" / "averages.py").write_text(AVERAGES)
    session = json.loads(session_file.read_text())
    session["session_data_config"]["streaming"] = {"data_upkeep": {"derived_intervals": [5]}}
    session["strategies"] = [{"module": "strategies.averages", "name": name} for name in ("one", "two")]
    session_file.write_text(json.dumps(session))
    return session_file


def test_list_indicators_prints_the_catalogue(capsys: Capture) -> None:
    assert main(["list", "indicators"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line in ("stateless", "rolling", "cumulative", "recursive")] == [
        "stateless", "rolling", "cumulative", "recursive",
    ]  # fmt: skip
    assert any(line.startswith("SMA period, ") for line in lines)
    assert any(line.startswith("MACD fast=12, ") for line in lines)


def test_list_indicators_with_json_has_every_one_of_the_catalogue(capsys: Capture) -> None:
    assert main(["list", "indicators", "--json"]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["indicators"]}
    assert list(found) == [entry.spec.name for entry in CATALOGUE]
    assert all(entry["summary"].endswith(".") and len(entry["summary"]) > 10 for entry in found.values())
    assert found["Quantile"] == {
        "name": "Quantile", "kind": "rolling", "outputs": ["value"], "talib": [], "example": "Quantile(20, 0.9)", "warmup": 20,
        "parameters": [
            {"name": "period", "required": True, "default": None},
            {"name": "quantile", "required": False, "default": 0.5},
            {"name": "source", "required": False, "default": "close"},
        ],
        "summary": "Quantile of the last period values: 0 is the lowest, 0.5 the median, 1 the highest.",
    }  # fmt: skip
    assert found["CCI"]["parameters"][1]["default"] == "TypicalPrice"
    assert found["Aroon"]["talib"] == ["AROON", "AROONOSC"]


def test_list_indicators_of_a_session_says_who_asks_for_what(averages: Path, capsys: Capture) -> None:
    assert main(["list", "indicators", str(averages), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["session"], found["problems"], len(found["requests"])) == ("tiny", [], 12)
    first, *_, small, half = (one for one in found["requests"] if one["strategy"] == "one")
    assert first == {
        "strategy": "one", "name": "fast", "indicator": "EMA(12)", "symbol": "A", "interval": "5m",
        "lazy": False, "private": False, "dtype": "float64",
    }  # fmt: skip
    assert (small["indicator"], small["name"], small["private"], small["dtype"]) == ("SMA(10)", None, True, "float32")
    assert (half["indicator"], half["name"]) == ("Half", "half")
    # Shared: of each symbol two averages, their difference, signal and histogram, one of them asked for by itself as well; and
    # the SMA that both halves read. Each strategy's own: the private SMA, and its half.
    assert found["computations"] == 2 * 5 + 1 + 2 * (1 + 1)
    assert found["unshared"] == 2 * (2 * (1 + 5) + 1 + 2)


def test_list_indicators_of_a_session_prints_a_row_for_each(averages: Path, capsys: Capture) -> None:
    assert main(["list", "indicators", str(averages)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "two fast EMA(12) B 5m" in lines
    assert "one SMA(10) A 5m private, float32" in lines
    assert lines[-1] == "12 requests make 15 computations; each request for itself would make 30"


def test_list_indicators_of_a_session_compiles_nothing(averages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Kernel) -> None:
        raise AssertionError(f"{self.function.__name__} is compiled")

    monkeypatch.setattr(Kernel, "load", refuse)
    assert main(["list", "indicators", str(averages)]) == 0


def test_list_indicators_of_a_wrong_session_says_what_is_wrong(averages: Path, capsys: Capture) -> None:
    (averages.parent / "strategies" / "averages.py").write_text("import nothing_of_that_name\n")
    assert main(["list", "indicators", str(averages)]) == 78
    assert "nothing_of_that_name" in capsys.readouterr().err
    assert main(["list", "indicators", "absent.json"]) == 78


def test_list_indicators_leaves_out_what_the_session_leaves_out(averages: Path, capsys: Capture) -> None:
    session = json.loads(averages.read_text())
    session["on_load_error"] = "skip"
    session["strategies"][1]["module"] = "strategies.absent"
    averages.write_text(json.dumps(session))
    assert main(["list", "indicators", str(averages)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "strategies.absent" in out
    assert out.endswith("6 requests make 13 computations; each request for itself would make 15")


def test_list_of_strategies_takes_no_session(averages: Path, capsys: Capture) -> None:
    assert main(["list", "sessions", str(averages)]) == 2
    assert "stratd list indicators SESSION" in capsys.readouterr().err
