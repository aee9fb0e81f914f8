"""A journal whose disk fails, and works again or not. Started by test_outages.py with the shim of tests/support/power_cut.c.

    python outage_child.py DIRECTORY (heals | reader | closes | making) WHAT:SUFFIX:ERROR ...

With `reader` another connection reads the file until the disk is well again; with
`making` the faults come while the journal is made. Prints one JSON line of what it saw.
"""

from __future__ import annotations

import ctypes
import errno
import json
import sqlite3
import sys
import threading
from pathlib import Path

from stratd.errors import JournalError
from stratd.journal import writer
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal

DEADLINE = 20.0


def main() -> None:
    vars(writer).update(_FIRST_DELAY_SECONDS=0.01)
    shim = ctypes.CDLL(None)
    seen: dict[str, object] = {}
    called = threading.Semaphore(0)
    reasons: list[str] = []

    def on_failure(reason: str) -> None:
        reasons.append(reason)
        called.release()

    def set_faults(count: int) -> None:
        for fault in sys.argv[3:]:
            what, suffix, error = fault.split(":")
            shim.power_cut_fail(ctypes.c_char(what.encode()), suffix.encode(), getattr(errno, error, -1), count)

    journal = Journal(Path(sys.argv[1]) / "journal.db", durable=True, session="s", on_failure=on_failure)
    if sys.argv[2] == "making":
        set_faults(1)
    journal.open()
    assert journal.wait(journal.post([Entry("a", 1, 1, b"before")]), DEADLINE)
    reader = sqlite3.connect(journal.path)
    if sys.argv[2] == "reader":
        reader.execute("SELECT count(*) FROM entries").fetchone()
    set_faults(-1)
    tickets = [journal.post([Entry("a", 1, number, bytes(5000)), Entry("b", 1, number, b"")]) for number in range(2, 6)]
    seen["waited"] = journal.wait(tickets[-1], DEADLINE)
    seen["failure"] = journal.failure
    assert called.acquire(timeout=DEADLINE)
    seen["durable"] = journal.durable_ticket
    if sys.argv[2] != "closes":
        set_faults(0)
        pause = threading.Event()
        while sys.argv[2] == "reader" and journal.failure is not None and "locked" not in journal.failure:
            pause.wait(0.002)
        seen["while_read"] = journal.failure
        reader.close()
        while journal.durable_ticket < tickets[-1]:
            pause.wait(0.005)
        seen["after"] = journal.failure
        journal.post([Entry("a", 1, 6, b"after")])
        journal.close()
    else:
        try:
            journal.close()
        except JournalError as error:
            seen["lost"], seen["error"] = error.lost, str(error)
    reader.close()
    seen["reasons"] = len(reasons)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
