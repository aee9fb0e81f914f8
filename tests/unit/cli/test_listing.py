from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from stratd.cli.listing import describe_params, type_text
from stratd.cli.main import main
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
