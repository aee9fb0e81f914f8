from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ...support.power_cut import PACKAGE

PARENT = Path(__file__).with_name("kill_parent.py")


def reported_after(directory: Path, kills: int, seed: int) -> int:
    """How many groups were reported durable in all; fails if something was not as it should be."""
    command = [sys.executable, str(PARENT), str(directory), str(kills), str(seed)]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    *problems, last = done.stdout.splitlines() or [done.stderr]
    assert problems == [], "\n".join(problems)
    assert last.startswith("reported "), done.stderr
    return int(last.split()[1])


def test_journal_killed_at_random_instants_every_reported_group_is_there_whole_and_once(tmp_path: Path) -> None:
    assert reported_after(tmp_path, kills=20, seed=4) > 20


@pytest.mark.prove
def test_journal_killed_at_300_random_instants_every_reported_group_is_there_whole_and_once(tmp_path: Path) -> None:
    assert reported_after(tmp_path, kills=300, seed=5) > 300
