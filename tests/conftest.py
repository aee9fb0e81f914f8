"""What every test gets."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stratd.core.container import ScopedContainer
from stratd.core.states import State

# The first example of a test may have to compile a kernel. In CI examples are the same in every run; by hand they are not.
settings.register_profile("stratd", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("stratd")

_skipped: list[str] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long proofs run only when they are asked for."""
    if config.option.markexpr:
        return
    short = [item for item in items if item.get_closest_marker("prove") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(short)])
    items[:] = short


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI everything is there, so nothing may be skipped."""
    if _skipped and os.environ.get("CI"):
        print(f"\n{len(_skipped)} tests were skipped, and none may be in CI:", *_skipped, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _containers_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A container that a test opens is closed when it ends. (One that is lost before warns by itself.)"""
    opened: list[weakref.ref[ScopedContainer]] = []
    open_it = ScopedContainer.open

    def noted(container: ScopedContainer) -> None:
        opened.append(weakref.ref(container))
        open_it(container)

    monkeypatch.setattr(ScopedContainer, "open", noted)
    yield
    left = [made for one in opened if (made := one()) is not None and made.state is State.RUNNING]
    names = [made.name for made in left]
    for made in left:
        made.close()
    assert not names, f"containers were left open: {', '.join(names)}"


@pytest.fixture(autouse=True)
def _results_stay_out_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write their results below the current directory: give each test one of its own."""
    monkeypatch.chdir(tmp_path)
    return
