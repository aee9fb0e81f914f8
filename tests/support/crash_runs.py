"""Runs sessions in processes that can be killed at any instant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support import power_cut
from tests.support.crash_session import CLASSES, Kept, check_sane, essence, journal_of, read, write_session

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ended:
    """How a run ended. `code` is -9 where it was killed; `late` says that it did not end by itself in time."""

    code: int
    seconds: float
    cpu: float
    late: bool
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """Its result document."""
        assert self.out, f"there is no result (exit code {self.code}): {self.err}"
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def killed(self) -> bool:
        return self.code == -9 and not self.late


@dataclass(frozen=True)
class Undisturbed:
    """A session, and how it ends if nobody disturbs it."""

    session: Path
    result: Mapping[str, Any]
    journal: Kept
    seconds: float

    def check(self, ended: Ended, results: Path) -> None:
        """A run that was disturbed has come to the same end.

        Raises:
            AssertionError: it has not; says in what it differs.
        """
        assert ended.code == 0, ended
        found = essence(ended.result)
        assert found == self.result, _differing(found, self.result)
        journal = read(journal_of(results))
        check_sane(journal)
        assert journal.ended
        assert journal.owners.keys() == self.journal.owners.keys()
        for name, owned in journal.owners.items():
            assert owned.events == self.journal.owners[name].events, name
        assert journal.essence() == self.journal.essence()

    def check_part(self, journal: Kept) -> None:
        """What is there after a crash is how the undisturbed run began, strategy by strategy."""
        check_sane(journal)
        for name, owned in journal.owners.items():
            rows = self.journal.owners[name].rows[: len(owned.rows)]
            assert owned.rows == rows, f"{name}: not how the undisturbed run began"


def _differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    lines = [f"{key}: {one} and not {expected[key]}" for key, one in found.items() if one != expected[key] and key not in CLASSES]
    for name in CLASSES:
        own = expected.get(name, {})
        lines += [f"{name} {key}: {one} and not {own[key]}" for key, one in found.get(name, {}).items() if one != own[key]]
    return "; ".join(lines)


class Parent:
    """The process of crash_child.py, which forks one child for each run.

    Args:
        directory: for its own files; made if need be.
        shims: libraries to preload.
        environment: more for its environment.
    """

    def __init__(self, directory: Path, shims: Sequence[Path] = (), **environment: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        session = write_session(directory / "warm", 40)
        path = os.pathsep.join([str(power_cut.PACKAGE), str(HERE.parents[1])])
        whole = os.environ | {"PYTHONPATH": path, "LD_PRELOAD": " ".join(map(str, shims))} | environment
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "crash_child.py"), str(session), str(directory / "warm")],
            env=whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        answer = self._answer()
        assert answer == {"threads": 1}, answer

    def run(
        self, session: Path, results: Path, *options: str, verb: str = "run", hooks: Sequence[Sequence[Any]] = (),
        kill_after: float | None = None, limit: float = 60.0,
    ) -> Ended:  # fmt: skip
        """Run a session to its end, or until it is killed."""
        output = self.directory / "output"
        request = {
            "argv": [verb, str(session), "--json", "--results-dir", str(results), *options],
            "output": str(output), "hooks": hooks, "kill_after": kill_after, "limit": limit,
        }  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return Ended(**answer, out=output.with_suffix(".out").read_text(), err=output.with_suffix(".err").read_text())

    def undisturbed(self, session: Path) -> Undisturbed:
        """Run a session to its end, in a directory of its own."""
        results = session.parent / "undisturbed"
        ended = self.run(session, results)
        assert ended.code == 0, ended.err
        return Undisturbed(session, essence(ended.result), read(journal_of(results)), ended.seconds)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the parent of all runs has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def crash_shim(directory: Path) -> Path:
    """The library of crash_shim.c, or a skip where it cannot be made."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the shim that kills needs Linux and a C compiler (cc)")
    library = directory / "crash_shim.so"
    options = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-ldl", "-lpthread"]
    command = [compiler, str(HERE / "crash_shim.c"), *options, "-o", str(library)]
    subprocess.run(command, check=True)
    return library
