"""A process that keeps a journal and reports what it was told is durable.

    python power_cut_child.py DIRECTORY MODE GROUPS [FAULT ...]
    python power_cut_child.py DIRECTORY pinned

MODE is `durable` or `batched`. FAULT is `AT:WHAT:SUFFIX:ERROR:COUNT`: once that many groups are posted, so many calls of a kind on files with this
ending fail with this error (see power_cut.c), a name of errno, or KILL. Two producers post; in the middle the journal is closed and opened again; at the end it is not closed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
import sys
import threading
from hashlib import blake2b
from pathlib import Path

from stratd.journal import writer
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal

PRODUCERS = 2
SESSION = "power cut"


def group_of(producer: str, number: int) -> list[Entry]:
    """What a producer posts as its `number`-th group: 1 to 5 entries, one in 40 with a payload over many pages."""
    seed = blake2b(f"{producer} {number}".encode()).digest()
    length = 20_000 if seed[0] % 40 == 0 else seed[1] * 4
    return [Entry(producer, kind, number, (seed * (length // 64 + 1))[:length]) for kind in range(1 + seed[2] % 5)]


def pinned(directory: Path) -> None:
    """A reader stays behind, so that a checkpoint copies a part of the log without a sync; the next one's sync fails."""
    vars(writer).update(_IDLE_SECONDS=1000.0, _FIRST_DELAY_SECONDS=0.005)
    failed = threading.Event()
    journal = Journal(directory / "journal.db", durable=True, session=SESSION, on_failure=lambda reason: failed.set())
    journal.open()
    reports = os.open(directory / "reports", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    reader = sqlite3.connect(journal.path, isolation_level=None)
    pause = threading.Event()

    def post(numbers: range) -> None:
        for number in numbers:
            assert journal.wait(journal.post(group_of("p0", number)), 10.0)

    post(range(40))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM entries").fetchone()
    vars(writer).update(_IDLE_SECONDS=0.01)
    post(range(40, 50))
    while journal._store.unmerged_bytes:
        pause.wait(0.002)
    reader.close()
    ctypes.CDLL(None).power_cut_fail(ctypes.c_char(b"s"), b".db", errno.EIO, 1)
    post(range(50, 52))
    assert failed.wait(10.0)
    while journal.failure is not None:
        pause.wait(0.002)
    os.write(reports, f"{journal.durable_ticket}\n".encode())


def produce(journal: Journal, producer: str, numbers: range, reports: int, faults: list[list[str]]) -> None:
    pause = threading.Event()
    for number in numbers:
        for fault in [fault for fault in faults if int(fault[0]) == number and producer == "p0"]:
            _, what, suffix, error, count = fault
            ctypes.CDLL(None).power_cut_fail(ctypes.c_char(what.encode()), suffix.encode(), getattr(errno, error, -1), int(count))
        ticket = journal.post(group_of(producer, number))
        while not journal.wait(ticket, 10.0):
            pause.wait(0.002)
        os.write(reports, f"{ticket}\n".encode())
        if number % 25 == 24:
            pause.wait(0.03)  # long enough for a checkpoint


def main() -> None:
    if sys.argv[2] == "pinned":
        pinned(Path(sys.argv[1]))
        os._exit(0)
    directory, mode, groups = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    faults = [text.split(":") for text in sys.argv[4:]]
    constants = {"_MERGE_BYTES": 128 * 1024, "_IDLE_SECONDS": 0.01, "_LINGER_SECONDS": 0.01, "_FIRST_DELAY_SECONDS": 0.005}
    vars(writer).update(constants, _LAST_DELAY_SECONDS=0.02)
    reports = os.open(directory / "reports", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for numbers in (range(groups // 2), range(groups // 2, groups)):
        journal = Journal(directory / "journal.db", durable=mode == "durable", session=SESSION, on_failure=lambda reason: None)
        journal.open()
        os.write(reports, f"{journal.durable_ticket}\n".encode())
        names = [f"p{number}" for number in range(PRODUCERS)]
        threads = [threading.Thread(target=produce, args=(journal, name, numbers, reports, faults)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if numbers.start == 0:
            journal.close()
    print("done", journal.failure)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
