"""Power cuts: what a disk may hold after one, rebuilt from a record of everything that a process did to its files.

`run` starts a child with the shim of power_cut.c. `Disk` plays its record: what was synced is there for certain; of what was not, any subset may
be there, whole or in part (sectors of 512 bytes), and names (files created, removed, renamed) likewise until their directory is synced. After a sync that
failed, what it should have synced is lost unless it is written again, as on Linux.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal, NamedTuple

import pytest

SOURCE: Final = Path(__file__).with_name("power_cut.c")
PACKAGE: Final = Path(__file__).resolve().parents[2] / "daemon"
SECTOR: Final = 512
REPORTS: Final = "reports"
"""What a child writes to this file of the directory is a report; it is no part of the disk."""

_HEAD: Final = struct.Struct("<ciqiI")
Kept = Literal["nothing", "everything", "some", "torn"]


def compiled(directory: Path) -> Path:
    """The shim, or a skip where it cannot be made."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the power-cut shim needs Linux and a C compiler (cc)")
    library = directory / "power_cut.so"
    if not library.exists():
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


def run(library: Path, script: Path, directory: Path, log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script on a recorded directory, which is its first argument."""
    environment = os.environ | {
        "LD_PRELOAD": str(library), "POWER_CUT_DIR": str(directory), "POWER_CUT_LOG": str(log), "PYTHONPATH": str(PACKAGE),
    }  # fmt: skip
    command = [sys.executable, str(script), str(directory), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


class Step(NamedTuple):
    """One record of the log."""

    what: str
    descriptor: int
    offset: int
    error: int
    data: bytes


def steps(log: Path) -> Iterator[Step]:
    """The record, in order."""
    held = log.read_bytes()
    at = 0
    while at < len(held):
        what, descriptor, offset, error, length = _HEAD.unpack_from(held, at)
        at += _HEAD.size
        yield Step(what.decode(), descriptor, offset, error, held[at : at + length])
        at += length


@dataclass
class File:
    """`synced` is on the disk; `pending` are (offset, data), or (length, None) for a truncation, in order, and may be."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(max(0, offset - len(content))))
    else:
        content.extend(bytes(max(0, offset + len(data) - len(content))))
        content[offset : offset + len(data)] = data


class Disk:
    """The disk below a directory while a record is played.

    Attributes:
        reports: what the child has reported so far, as text.
    """

    def __init__(self, directory: Path) -> None:
        self.reports = ""
        self._root = str(directory)
        self._seen: dict[str, File] = {}  # names as the process sees them
        self._synced_names: dict[str, File] = {}
        self._pending_names: list[tuple[str, File | None]] = []
        self._open: dict[int, tuple[str, File]] = {}

    def play(self, step: Step) -> None:
        """Do what the process did."""
        if step.what == "o":
            self._play_open(step)
        elif step.what in "wt":
            name, file = self._open[step.descriptor]
            if name == REPORTS:
                self.reports += step.data.decode()
            else:
                file.pending.append((step.offset, step.data if step.what == "w" else None))
        elif step.what == "s":
            self._play_sync(step)
        else:
            first, _, second = step.data.decode().partition("\0")
            moved = self._seen.pop(self._name(first))
            self._pending_names.append((self._name(first), None))
            if second:
                self._seen[self._name(second)] = moved
                self._pending_names.append((self._name(second), moved))

    def _play_open(self, step: Step) -> None:
        name = self._name(step.data.decode())
        if name not in self._seen:
            self._seen[name] = File()
            if name not in ("", REPORTS):
                self._pending_names.append((name, self._seen[name]))
        if step.offset & os.O_TRUNC:
            self._seen[name].pending.append((0, None))
        self._open[step.descriptor] = (name, self._seen[name])

    def _play_sync(self, step: Step) -> None:
        name, file = self._open[step.descriptor]
        if not name:
            if not step.error:
                for changed, now in self._pending_names:
                    _set(self._synced_names, changed, now)
            self._pending_names.clear()
            return
        if not step.error:
            for change in file.pending:
                _apply(file.synced, *change)
        file.pending.clear()  # where it failed, they are in the cache, marked as written, and on no disk

    def _name(self, path: str) -> str:
        return path[len(self._root) :].strip("/")

    def image(self, kept: Kept, random: Random) -> dict[str, bytes]:
        """What may be there after a power cut now: name -> content."""
        names = dict(self._synced_names)
        upto: dict[str, bool] = {}
        for name, file in self._pending_names:
            # Changes of one name reach the disk in order: once one did not, no later one did.
            upto[name] = upto.get(name, True) and _chosen(kept, random)
            if upto[name]:
                _set(names, name, file)
        # What processes share by mapping it is made anew by the first one that comes.
        return {name: self._content(file, kept, random) for name, file in names.items() if not name.endswith("-shm")}

    @staticmethod
    def _content(file: File, kept: Kept, random: Random) -> bytes:
        content = bytearray(file.synced)
        for offset, data in file.pending:
            if not _chosen(kept, random):
                continue
            if kept != "torn" or data is None:
                _apply(content, offset, data)
                continue
            at = offset
            while at < offset + len(data):
                end = min((at // SECTOR + 1) * SECTOR, offset + len(data))
                if random.random() < 0.5:
                    _apply(content, at, data[at - offset : end - offset])
                at = end
        return bytes(content)


def _chosen(kept: Kept, random: Random) -> bool:
    return kept == "everything" or (kept == "some" and random.random() < 0.5) or (kept == "torn" and random.random() < 0.8)


def _set(names: dict[str, File], name: str, file: File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def lay_out(image: dict[str, bytes], directory: Path) -> Path:
    """Write an image into an empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in image.items():
        (directory / name).write_bytes(content)
    return directory
