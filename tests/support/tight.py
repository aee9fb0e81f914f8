"""Memory as tight as can be, so that it moves and is used again in short tests."""

from __future__ import annotations

import pytest

from stratd.data import session_data


@pytest.fixture(autouse=True)
def tight_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import this into a test module, and all of its tests have it."""
    monkeypatch.setattr(session_data, "_PLENTY_BYTES", 0)
