"""Runs a stratd command as the console script does, and prints at the end what only the process itself can see.

    python bench/child.py backtest SESSION --quiet

The last line of its output is a JSON document: `first_bar_ns` (perf_counter_ns, one clock for all processes on Linux),
`peak_bytes` (VmHWM), `peak_own_bytes` (the highest of anonymous and shared memory together: without mapped files, whose pages
the system takes back when it needs them), `column_bytes` (what SessionData holds, as bare arrays), `memfd_bytes` (what the
system has given it for that), `shmem_bytes` (RssShmem), `compactions`, and `kernels` (what was compiled, and what for). With
`--sample` memory is sampled while it runs.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from stratd.cli import run as run_verb
from stratd.cli.main import main

_SAMPLE_SECONDS = 0.005


def _status() -> dict[str, int]:
    """Bytes by name, of /proc/self/status."""
    with open("/proc/self/status") as file:
        fields = [line.split() for line in file]
    return {words[0][:-1]: 1024 * int(words[1]) for words in fields if words[-1] == "kB"}


def _memfd_bytes() -> int:
    """What the system has allocated for SessionData's memory: each page once, however often it is mapped."""
    by_file: dict[int, int] = {}  # a mapping keeps a descriptor of its own
    for name in os.listdir("/proc/self/fd"):
        try:
            if "stratd-session-data" in os.readlink(f"/proc/self/fd/{name}"):
                found = os.fstat(int(name))
                by_file[found.st_ino] = 512 * found.st_blocks
        except OSError:
            continue  # the descriptor of the listing itself
    return sum(by_file.values())


def _kernels(session: Any) -> dict[str, Any]:
    """What a session has compiled or loaded: kernels in all, operations by name, and those that its indicators are made of."""
    from stratd.core import kernel

    operations = [one for one in kernel.all_kernels() if isinstance(one, kernel.Operation)]
    contexts = [thread._context for thread in session.strategies.threads]
    streams = session.market.streams
    plans = [
        session.hub.plan(request.indicator, streams[request.symbol, str(request.interval)])
        for context in contexts
        for request in context.handles.requests()
    ]
    used = {part.spec.operation.function.__name__ for plan in plans for part in plan.parts if hasattr(part.spec, "operation")}
    return {
        "all": len(kernel.all_kernels()),
        "all_operations": len(operations),
        "compiled": kernel.stats.compiled,
        "loaded": kernel.stats.loaded,
        "late": kernel.stats.sealed_compilations,
        "operations": sorted(one.function.__name__ for one in operations if one.is_loaded),
        "used": sorted(used),
    }


class _Watch:
    """Finds the run's SystemManager, and samples its memory."""

    def __init__(self) -> None:
        self.manager: Any = None
        self.peak_own = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)

    def stop_requests(self, stop: Any, *rest: Any) -> Any:
        """Stands for StopRequests, which is given the manager's bound method."""
        self.manager = stop.__self__
        return self._original(stop, *rest)

    def install(self, sample: bool) -> None:
        self._original = vars(run_verb)["StopRequests"]
        vars(run_verb)["StopRequests"] = self.stop_requests
        if sample:
            self.thread.start()

    def _sample(self) -> None:
        while not self.done.wait(_SAMPLE_SECONDS):
            now = _status()
            # A page of SessionData that writer and readers have both touched counts twice in RssShmem.
            self.peak_own = max(self.peak_own, now["RssAnon"] + now["RssShmem"])


def _main() -> int:
    words = sys.argv[1:]
    sample = "--sample" in words
    watch = _Watch()
    watch.install(sample)
    code = main([word for word in words if word != "--sample"])
    watch.done.set()
    found: dict[str, Any] = {"peak_bytes": _status()["VmHWM"], "peak_own_bytes": watch.peak_own}
    if watch.manager is not None:
        data = watch.manager.session.data
        found |= {
            "first_bar_ns": watch.manager.first_bar_ns,
            "column_bytes": data.held_bytes(),
            "memfd_bytes": _memfd_bytes(),
            "shmem_bytes": _status()["RssShmem"],
            "compactions": data.compactions,
            "kernels": _kernels(watch.manager.session),
        }
    print(json.dumps(found))
    return code


if __name__ == "__main__":
    raise SystemExit(_main())
