"""Where tests find things."""

from __future__ import annotations

from pathlib import Path

import pytest


def repo_root() -> Path:
    """The project's top directory."""
    return Path(__file__).resolve().parents[2]


def shared_data() -> Path:
    """Market data that does not ship with the project; skips the test where it is absent."""
    path = repo_root().parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is absent")
    return path
