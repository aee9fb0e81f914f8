"""What every test gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

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
def _results_stay_out_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write their results below the current directory: give each test one of its own."""
    monkeypatch.chdir(tmp_path)
    return
