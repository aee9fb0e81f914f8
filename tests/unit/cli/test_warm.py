from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from stratd.cli import warm
from stratd.cli.main import main
from stratd.core import kernel

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
