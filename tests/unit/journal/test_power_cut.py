from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from signal import SIGKILL
from tempfile import TemporaryDirectory

import pytest

from stratd.errors import JournalError
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify

from ...support import power_cut
from ...support.power_cut import Disk, Kept, lay_out, steps
from ...support.power_cut_child import SESSION, group_of

CHILD = Path(power_cut.__file__).with_name("power_cut_child.py")
KEPT: tuple[Kept, ...] = ("nothing", "everything", "some", "torn")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return power_cut.compiled(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def image_directory() -> Iterator[Path]:
    """Where images are laid out: in memory where that can be, since opening hundreds of them syncs hundreds of times."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory) / "image"


def record_of(library: Path, tmp_path: Path, mode: str, groups: int, *faults: str) -> Path:
    """The record of a child that has come to its end."""
    directory, log = tmp_path / "recorded", tmp_path / "record"
    directory.mkdir()
    done = power_cut.run(library, CHILD, directory, log, mode, str(groups), *faults)
    assert (done.returncode, done.stdout) == (0, "done None\n"), done.stderr
    return log


def images(log: Path, directory: Path, count: int, seed: int) -> Iterator[tuple[set[int], dict[str, bytes]]]:
    """`count` power cuts at random points of the record: (tickets reported before, what is on the disk)."""
    random = Random(seed)
    points: dict[int, list[Kept]] = {}
    length = sum(1 for _ in steps(log))
    for _ in range(count):
        points.setdefault(random.randrange(length), []).append(random.choice(KEPT))
    yield from cuts(log, directory, points, random)


def cuts(
    log: Path, directory: Path, points: dict[int, list[Kept]], random: Random
) -> Iterator[tuple[set[int], dict[str, bytes]]]:
    disk = Disk(directory)
    record = list(steps(log))
    for at, step in enumerate(record):
        disk.play(step)
        for kept in [*points.get(at, ()), *points.get(at - len(record), ())]:
            yield {int(ticket) for ticket in disk.reports.split()}, disk.image(kept, random)


def lost(reported: set[int], image: dict[str, bytes], directory: Path) -> set[int]:
    """Reported groups that are not there once the journal has been opened again; everything there must be whole and as it was posted."""
    path = lay_out(image, directory) / "journal.db"
    journal = Journal(path, durable=True, session=SESSION)
    journal.open()
    journal.close()
    report = verify(path)
    assert report.ok, report
    groups: dict[int, list[object]] = {}
    for record in read_journal(path):
        groups.setdefault(record.group, []).append(record.entry)
    assert list(groups) == list(range(1, len(groups) + 1))
    reached: dict[str, int] = {}
    for entries in groups.values():
        producer, number = entries[0].owner, entries[0].time  # type: ignore[attr-defined]
        assert entries == group_of(producer, number)
        assert number == reached.get(producer, -1) + 1, "a group is missing, or is there twice"
        reached[producer] = number
    return {ticket for ticket in reported if ticket and ticket not in groups}


@pytest.mark.parametrize(
    "faults",
    [
        (),
        ("12:s:-wal:EIO:2",),
        ("5:s:.db:EIO:3", "30:s:-wal:EIO:1"),
        ("8:w:-wal:ENOSPC:4", "33:w:.db:EIO:2"),
    ],
    ids=["healthy", "log_sync_fails", "file_sync_fails", "writes_fail"],
)  # fmt: skip
def test_journal_power_cut_anywhere_holds_every_reported_group(
    library: Path, tmp_path: Path, image_directory: Path, faults: tuple[str, ...]
) -> None:
    log = record_of(library, tmp_path, "durable", 40, *faults)
    for reported, image in images(log, tmp_path / "recorded", 40, seed=len(faults)):
        assert lost(reported, image, image_directory) == set()


def test_journal_killed_before_a_sync_what_the_next_process_finds_is_on_the_disk(
    library: Path, tmp_path: Path, image_directory: Path
) -> None:
    directory, log = tmp_path / "recorded", tmp_path / "record"
    directory.mkdir()
    assert power_cut.run(library, CHILD, directory, log, "durable", "40", "12:s:-wal:KILL:1").returncode == -SIGKILL
    # It was killed with a transaction in the log that is in the system's cache and nowhere else. The next one finds and counts it.
    assert power_cut.run(library, CHILD, directory, log, "durable", "0").returncode == 0
    *_, (reported, image) = cuts(log, directory, {-1: ["nothing"]}, Random(0))
    assert max(reported) > 12
    assert lost(reported, image, image_directory) == set()


def test_journal_sync_of_a_checkpoint_in_two_parts_fails_both_parts_are_copied_again(
    library: Path, tmp_path: Path, image_directory: Path
) -> None:
    directory, log = tmp_path / "recorded", tmp_path / "record"
    directory.mkdir()
    done = power_cut.run(library, CHILD, directory, log, "pinned")
    assert done.returncode == 0, done.stderr
    *_, (reported, image) = cuts(log, directory, {-1: ["nothing"]}, Random(0))
    assert reported == {52}
    assert lost(set(range(1, 53)), image, image_directory) == set()


def test_journal_without_syncs_power_cut_loses_groups(library: Path, tmp_path: Path, image_directory: Path) -> None:
    # The test above can fail: the same, but for the syncs.
    log = record_of(library, tmp_path, "batched", 40)
    losses = 0
    for reported, image in images(log, tmp_path / "recorded", 40, seed=1):
        try:
            losses += bool(lost(reported, image, image_directory))
        except (JournalError, AssertionError):  # damaged, which also shows
            losses += 1
    assert losses > 10


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(20))
def test_journal_power_cut_long_proof(library: Path, tmp_path: Path, image_directory: Path, seed: int) -> None:
    random = Random(seed)
    kinds = ("s:-wal:EIO", "s:.db:EIO", "w:-wal:ENOSPC", "w:.db:ENOSPC", "w:-wal:EIO", "t:.db:EIO", "s:.lock:EIO")
    moments = [
        *range(80),
        *range(100, 180),
    ]  # neither while it is closed and opened nor at the end, which would fail, and rightly
    faults = [f"{at}:{random.choice(kinds)}:{random.randint(1, 6)}" for at in sorted(random.sample(moments, seed % 8))]
    log = record_of(library, tmp_path, "durable", 200, *faults)
    for reported, image in images(log, tmp_path / "recorded", 500, seed):
        assert lost(reported, image, image_directory) == set()
