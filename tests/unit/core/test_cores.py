from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

import pytest

from stratd.core.cores import current_core, pin_this_thread


def in_a_thread(call: Any) -> Any:
    """Pinning is for good: not in the tests' own thread."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(10)
    return found[0]


def test_current_core_is_one_that_this_process_may_use() -> None:
    assert current_core() in os.sched_getaffinity(0)


def test_current_core_system_without_the_call_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert current_core() is None


def test_pin_this_thread_runs_there_from_then_on_and_others_stay_free() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    assert in_a_thread(lambda: (pin_this_thread(core), os.sched_getaffinity(0), current_core())) == (True, {core}, core)
    assert os.sched_getaffinity(0) == before


def test_pin_this_thread_core_that_does_not_exist_is_refused() -> None:
    assert in_a_thread(lambda: pin_this_thread(10_000)) is False
