"""Kills processes that keep a journal, at random instants, and looks what is left.

    python kill_parent.py DIRECTORY KILLS SEED

The parent has imported everything, so a child is there in some milliseconds. Prints what it found wrong, one line each, then how many groups were
reported and found.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from random import Random

from stratd.errors import JournalError
from stratd.journal import writer
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tests.support.power_cut_child import group_of

SESSION = "killed"
KILLS_PER_FILE = 10


def post_for_ever(path: Path, name: str, pipe: int) -> None:
    """What a child does until it is killed: two threads post groups and report those that are durable."""
    vars(writer).update(_MERGE_BYTES=64 * 1024)
    journal = Journal(path, durable=True, session=SESSION)
    journal.open()
    os.write(pipe, b"open\n")

    def produce(producer: str) -> None:
        number = 0
        while True:
            ticket = journal.post(group_of(producer, number))
            if journal.wait(ticket):
                os.write(pipe, f"{ticket} {producer} {number}\n".encode())
            number += 1

    threads = [threading.Thread(target=produce, args=(f"{name}.{producer}",)) for producer in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed_child(path: Path, name: str, random: Random) -> list[str]:
    """Start a child, kill it, and give what it had reported."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            post_for_ever(path, name, writing)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        # After so many reports, so that a slow machine proves as much as a fast one; one in five while it opens the journal.
        wanted = random.randrange(1, 12) if random.random() < 0.8 else 0
        text = b""
        while text.count(b"\n") < wanted and (block := os.read(reading, 4096)):
            text += block
        threading.Event().wait(random.random() ** 2 * 0.005)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        while block := os.read(reading, 65536):
            text += block
    finally:
        os.close(reading)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise SystemExit(f"the child of kill {name} ended by itself: {status}")
    return [line for line in text.decode().split("\n")[:-1] if line != "open"]


def wrong(path: Path, reports: list[str]) -> list[str]:
    """What is not as it was reported, or not whole, or there twice."""
    if not verify(path).ok:
        return [f"{path.name}: {verify(path)}"]
    groups: dict[int, list[object]] = {}
    for record in read_journal(path):
        groups.setdefault(record.group, []).append(record.entry)
    found = {ticket: (entries[0].owner, entries[0].time) for ticket, entries in groups.items()}  # type: ignore[attr-defined]
    problems = [f"group {ticket} is not whole" for ticket, entries in groups.items() if entries != group_of(*found[ticket])]
    if len(set(found.values())) != len(found):
        problems.append("a group is there twice")
    for line in reports:
        ticket, producer, number = line.split()
        if found.get(int(ticket)) != (producer, int(number)):
            problems.append(f"reported and not there: {line}")
    return problems


def main() -> None:
    directory, kills, random = Path(sys.argv[1]), int(sys.argv[2]), Random(int(sys.argv[3]))
    reports: list[str] = []
    total = 0
    path = directory / "0.db"
    for kill in range(kills):
        if kill % KILLS_PER_FILE == 0:
            path, reports = directory / f"{kill}.db", []
        reported = killed_child(path, f"{kill}", random)
        total += len(reported)
        reports += reported
        try:
            problems = wrong(path, reports)
        except JournalError as error:
            problems = [str(error)]
        if problems and not reports:
            # Killed before anything was written: the next one must be able to begin.
            problems = [] if not path.exists() or "is empty" in problems[0] else problems
        for problem in problems:
            print(f"kill {kill}: {problem}", flush=True)
    print("reported", total)


if __name__ == "__main__":
    main()
