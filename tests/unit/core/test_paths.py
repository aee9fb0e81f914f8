from __future__ import annotations

import os
from pathlib import Path

import pytest

from stratd.core.paths import cache_root


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRATD_CACHE_DIR", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")


def test_cache_root_nothing_set_lies_in_the_users_cache() -> None:
    assert cache_root() == Path("/home/somebody/.cache/stratd")


def test_cache_root_own_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_root() == Path("/xdg/stratd")
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/stratd:/var/cache/other")
    assert cache_root() == Path("/var/cache/stratd")
    monkeypatch.setenv("STRATD_CACHE_DIR", "/with:colon")
    assert cache_root() == Path("/with:colon")


def test_cache_root_relative_xdg_directory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert cache_root() == Path("/home/somebody/.cache/stratd")


def test_cache_root_without_a_home_never_lies_in_the_current_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does where no home is known
    assert cache_root() == Path("/.cache/stratd")
