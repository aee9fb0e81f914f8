from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from stratd.cli import warm
from stratd.cli.main import main
from stratd.core import kernel
from stratd.data.calendars import utc_table
from stratd.model import Interval
from stratd.system.config import load_session
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions
from tests.support.paths import repo_root

Capture = pytest.CaptureFixture[str]


class StubKernel:
    def __init__(self, name: str) -> None:
        self.function = types.SimpleNamespace(__name__=name)
        self.loaded = 0

    def load(self) -> None:
        self.loaded += 1
        kernel.stats.compiled += 1


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[StubKernel]:
    found = [StubKernel("derive"), StubKernel("sma")]
    calendars = types.ModuleType("stratd.system.calendars")
    vars(calendars)["load_calendar"] = lambda name: None
    monkeypatch.setitem(sys.modules, "stratd.system.calendars", calendars)
    monkeypatch.setattr(kernel, "all_kernels", lambda: found)
    monkeypatch.setattr(kernel.stats, "compiled", 5)
    monkeypatch.setattr(warm, "KERNEL_PACKAGES", ("stratd.model",))
    return found


def test_warm_loads_every_kernel_and_says_so(
    kernels: list[StubKernel], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.setattr(kernel, "cache_directory", lambda: tmp_path)
    assert main(["warm"]) == 0
    assert [stub.loaded for stub in kernels] == [1, 1]
    first, second, third, fourth, last = capsys.readouterr().out.splitlines()
    assert (first, second, third) == ("compiling 1/2 derive ...", "compiling 2/2 sma ...", "calendar XNYS ...")
    assert fourth.startswith("2 kernels are ready after ")
    assert fourth.endswith(": 2 compiled, 0 taken from the cache")
    assert last == f"cache: {tmp_path}"


def test_warm_without_a_cache_says_what_to_do(
    kernels: list[StubKernel], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(kernel, "cache_directory", lambda: None)
    assert main(["warm"]) == 0
    assert "set STRATD_CACHE_DIR" in capsys.readouterr().out


def test_warm_imports_every_module_with_kernels() -> None:
    """Compared with the sources: a module that marks kernels must be imported before they can be loaded."""
    warm._import_kernels()
    package = Path(kernel.__file__).parents[1]
    marked = [path for path in package.rglob("*.py") if "\n@kernel(" in path.read_text()]
    names = {".".join(("stratd", *path.relative_to(package).with_suffix("").parts)) for path in marked}
    assert names
    assert names <= set(sys.modules)


# Sessions.

RANGES = """
from stratd import SMA, Strategy
from stratd.indicators.user import compiled_indicator


@compiled_indicator()
def span(high, low):
    return high - low


class Ranges(Strategy):
    def setup(self, ctx):
        for symbol in ctx.subscribe("*", "1m"):
            ctx.indicator(SMA(3).of(span()), symbol, "1m")

    def on_bars(self, symbol, interval):
        pass
"""


@pytest.fixture
def ranges(session_file: Path) -> Path:
    """A session with one strategy, which asks for an average of an indicator of its own."""
    (session_file.parent / "strategies").mkdir()
    (session_file.parent / "strategies" / "ranges.py").write_text(RANGES)
    session = json.loads(session_file.read_text())
    session["strategies"] = [{"module": "strategies.ranges"}]
    session_file.write_text(json.dumps(session))
    return session_file


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is loaded; nothing is compiled."""
    names: list[str] = []
    monkeypatch.setattr(kernel.Kernel, "load", lambda self: names.append(self.function.__name__))
    return names


def test_warm_of_a_session_loads_what_it_uses_and_nothing_else(ranges: Path, loaded: list[str], capsys: Capture) -> None:
    assert main(["warm", str(ranges)]) == 0
    assert {"run_entries", "take_in", "select", "mark_last", "observe"} <= set(loaded)
    assert {"sma", "rows"} <= set(loaded)
    assert not {"ema", "atr", "extreme"} & set(loaded)
    first, *_, last, _ = capsys.readouterr().out.splitlines()
    assert first == "session s.json ..."
    assert last.startswith(f"{len(set(loaded))} kernels are ready after ")


def test_warm_of_two_sessions_loads_everything_once(ranges: Path, loaded: list[str]) -> None:
    assert main(["warm", str(ranges)]) == 0
    alone = sorted(set(loaded))
    loaded.clear()
    other = ranges.with_name("other.json")
    other.write_text(ranges.read_text())
    (ranges.parent / "strategies" / "ranges.py").write_text(RANGES.replace("span()", '"open"').replace("SMA(3)", "SMA(5)"))
    assert main(["warm", str(ranges), str(other)]) == 0
    assert sorted(set(loaded)) == [name for name in alone if name != "rows"]


def test_warm_of_a_wrong_session_compiles_nothing(ranges: Path, loaded: list[str], capsys: Capture) -> None:
    ranges.with_name("bad.json").write_text("{}")
    assert main(["warm", str(ranges), str(ranges.with_name("bad.json"))]) == 78
    assert "bad.json" in capsys.readouterr().err
    (ranges.parent / "strategies" / "ranges.py").write_text("import nothing_of_that_name\n")
    assert main(["warm", str(ranges)]) == 78
    assert "nothing_of_that_name" in capsys.readouterr().err
    assert loaded == []


def test_warm_without_a_session_loads_the_whole_catalogue(loaded: list[str]) -> None:
    from stratd.indicators.base import StreamInfo
    from stratd.indicators.catalogue.listing import CATALOGUE
    from stratd.indicators.graph import Planner

    assert main(["warm"]) == 0
    stream = StreamInfo("X", Interval("1m"), 0, 0, 0.01, utc_table())
    planner = Planner(lambda symbol, interval: stream)
    used = {part.spec.operation.function.__name__ for entry in CATALOGUE for part in planner.plan(entry.spec, stream).parts}
    assert used <= set(loaded)
    assert "aligned" in loaded


def test_session_that_was_warmed_needs_nothing_else(ranges: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load, asked = kernel.Kernel.load, set()

    def noting(self: kernel.Kernel) -> Any:
        asked.add(self)
        return load(self)

    monkeypatch.setattr(kernel.Kernel, "load", noting)
    demo = repo_root() / "session_configs" / "demo.json"
    assert main(["warm", str(demo)]) == 0
    warmed = set(asked)
    asked.clear()
    assert SystemManager(load_session(demo), RunOptions(results_dir=str(ranges.parent))).run().error is None
    assert len(asked) > 5
    assert asked <= warmed
