"""A process that has imported everything, and runs commands of stratd in children that it forks and kills.

    python crash_child.py SESSION RESULTS

First it plays SESSION once, so that all kernels are loaded. Then it takes a request a line from stdin, and answers each with a line, both JSON:

    {"argv": [...], "output": PATH, "hooks": [[NAME, ARGUMENT, ...], ...], "kill_after": SECONDS or null, "limit": SECONDS}
    {"code": exit code, or -9 where it was killed, "seconds": how long it took, "cpu": seconds of CPU that it took, "late": whether it met the limit}

A child's stdout and stderr go to PATH.out and PATH.err.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stratd.cli.main import main as stratd
from stratd.core.clock import SystemClock
from stratd.execution.account_journal import ENDED, AccountJournal
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal

_posts = 0
_at_end: list[Callable[[], object]] = []
_kept: list[sqlite3.Connection] = []


def at_post(number: int, act: Callable[[], object]) -> None:
    """Have something happen right before the journal is given its `number`-th group in this process, from 1 on."""
    given = Journal.post

    def post(self: Journal, entries: Sequence[Entry]) -> int:
        global _posts
        if given is _first_post:
            _posts += 1
        if _posts == number and not done:
            done.append(True)
            act()
        return given(self, entries)

    done: list[bool] = []
    Journal.post = post  # type: ignore[method-assign]


_first_post = Journal.post


def kill_before_end() -> None:
    """Die when everything is recorded but that the session has ended."""
    given = Journal.post

    def post(self: Journal, entries: Sequence[Entry]) -> int:
        if entries[0].kind == ENDED:
            os.kill(os.getpid(), signal.SIGKILL)
        return given(self, entries)

    Journal.post = post  # type: ignore[method-assign]


def kill_after_end() -> None:
    """Die when it is recorded that the session has ended, before the journal is closed."""
    given = Journal.post

    def post(self: Journal, entries: Sequence[Entry]) -> int:
        ticket = given(self, entries)
        if entries[0].kind == ENDED and self.wait(ticket, 10.0):
            os.kill(os.getpid(), signal.SIGKILL)
        return ticket

    Journal.post = post  # type: ignore[method-assign]


def kill_at_post(number: int) -> None:
    """Die right before the journal is given its `number`-th group."""
    at_post(number, lambda: os.kill(os.getpid(), signal.SIGKILL))


def kill_at(directory: str, call: int, how: str) -> None:
    """Die at a call below a directory; see crash_shim.c."""
    ctypes.CDLL(None).crash_at(directory.encode(), ctypes.c_long(call), ord(how))


def count_calls(directory: str, answer: str) -> None:
    """Write how many calls there were below a directory to a file, at the end."""
    kill_at(directory, 0, "b")
    _at_end.append(lambda: Path(answer).write_text(str(ctypes.CDLL(None).crash_calls())))


def report(path: str) -> None:
    """Write to a file, a line each, how many records of a strategy were said to be recorded: what its account goes on from.

    The first line says that a run begins.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"begin 0\n")
    rows: dict[str, int] = {}
    given, added = AccountJournal.commit, AccountJournal.add_records

    def add_records(self: AccountJournal, records: NDArray[np.int64]) -> None:
        rows[self._owner] = rows.get(self._owner, 0) + len(records)
        added(self, records)

    def commit(self: AccountJournal, time: int, state: bytes) -> str | None:
        failure = given(self, time, state)
        if failure is None:
            os.write(descriptor, f"{self._owner} {rows.get(self._owner, 0)}\n".encode())
        return failure

    AccountJournal.add_records = add_records  # type: ignore[method-assign]
    AccountJournal.commit = commit  # type: ignore[method-assign]


def fault(number: int, what: str, suffix: str, error: str, count: int) -> None:
    """Have calls fail from a group on; see power_cut_fail in power_cut.c. A count of 0 ends it."""
    code = getattr(errno, error)
    at_post(number, lambda: ctypes.CDLL(None).power_cut_fail(ctypes.c_char(what.encode()), suffix.encode(), code, count))


def heal(after: int, what: str, suffix: str) -> None:
    """Have calls that failed come through again, so many milliseconds after the first group."""

    def later() -> None:
        threading.Event().wait(after / 1000)
        ctypes.CDLL(None).power_cut_fail(ctypes.c_char(what.encode()), suffix.encode(), 0, 0)

    at_post(1, threading.Thread(target=later, daemon=True).start)


def move_away(number: int, path: str) -> None:
    """Have a directory gone from a group on."""
    at_post(number, lambda: Path(path).rename(path + ".gone"))


def remove(number: int, path: str) -> None:
    """Have a directory deleted at a group."""
    at_post(number, lambda: shutil.rmtree(path))


def lock(number: int, path: str) -> None:
    """Hold the journal locked, as an SQLite shell does, from a group on."""

    def act() -> None:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        _kept.append(connection)

    at_post(number, act)


def terminate(number: int) -> None:
    """Send this process SIGTERM at a group, as a service manager does."""
    at_post(number, lambda: os.kill(os.getpid(), signal.SIGTERM))


def clock(first_ns: int, step_ns: int) -> None:
    """Have the machine's clock say this, and go on by `step_ns` each time that it is asked."""
    asked = [first_ns]

    def now_ns(self: SystemClock) -> int:
        asked[0] += step_ns
        return asked[0] - step_ns

    SystemClock.now_ns = now_ns  # type: ignore[method-assign]


HOOKS = {
    one.__name__: one
    for one in (
        kill_before_end,
        kill_after_end,
        kill_at_post,
        kill_at,
        report,
        count_calls,
        fault,
        heal,
        move_away,
        remove,
        lock,
        terminate,
        clock,
    )
}


def child(request: dict[str, Any]) -> None:
    """Run one command, and end."""
    for number, suffix in ((1, ".out"), (2, ".err")):
        descriptor = os.open(request["output"] + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, number)
    code = 70
    try:
        for name, *arguments in request["hooks"]:
            HOOKS[name](*arguments)
        code = stratd(request["argv"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for one in _at_end:
            one()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def served(request: dict[str, Any]) -> dict[str, Any]:
    """Fork a child for a request, and see it to its end."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        child(request)
    watch = os.pidfd_open(pid)
    limit = request["limit"] if request["kill_after"] is None else request["kill_after"]
    ended, _, _ = select.select([watch], [], [], limit)
    late = not ended
    if late:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    os.close(watch)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "late": late and request["kill_after"] is None,
    }


def main() -> None:
    session, results = sys.argv[1:]
    said = os.dup(1)
    os.dup2(2, 1)
    for verb in ("backtest", "run"):
        if stratd([verb, session, "--quiet", "--results-dir", f"{results}/{verb}"]):
            raise SystemExit(1)
    print(json.dumps({"threads": threading.active_count()}), file=os.fdopen(os.dup(said), "w"), flush=True)
    for line in sys.stdin:
        os.write(said, (json.dumps(served(json.loads(line))) + "\n").encode())


if __name__ == "__main__":
    main()
