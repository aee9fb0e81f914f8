"""Crashes: a session that was killed, cut off or starved goes on when it is started again, and ends as if nothing had been."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from stratd.errors import JournalError
from tests.support import power_cut
from tests.support.crash_runs import Parent, Undisturbed, crash_shim
from tests.support.crash_session import CLASSES, journal_of, read, write_session
from tests.support.power_cut import Disk, Kept, lay_out, steps

SIZES = (("--window", (1, 3, 64, 4096)), ("--block", (1, 7, 500, 4096)))
KEPT: tuple[Kept, ...] = ("nothing", "everything", "some", "torn")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def parent(directory: Path) -> Iterator[Parent]:
    with Parent(directory / "parent") as made:
        yield made


@pytest.fixture(scope="module")
def whole(parent: Parent, directory: Path) -> Undisturbed:
    """A session of four hours."""
    return parent.undisturbed(write_session(directory / "session", 240))


@pytest.fixture(scope="module")
def short(parent: Parent, directory: Path) -> Undisturbed:
    """A session that does not write much."""
    return parent.undisturbed(write_session(directory / "short", 130))


def sizes(random: Random) -> list[str]:
    return [text for name, numbers in SIZES for text in (name, str(random.choice(numbers)))]


def kill_until_it_ends(parent: Parent, whole: Undisturbed, results: Path, random: Random, most: int, *, sized: bool) -> int:
    """Start a session again and again, each time killed at a random instant, but for the last. Returns how often it was killed."""
    kills = 0
    while True:
        # Early ones meet the recovery from the kill before.
        after = random.random() * whole.seconds * random.choice((0.1, 0.3, 0.6, 1.2))
        options = sizes(random) if sized else []
        ended = parent.run(whole.session, results, *options, kill_after=after if kills < most else None)
        if not ended.killed:
            whole.check(ended, results)
            return kills
        kills += 1
        whole.check_part(read(journal_of(results)))


@pytest.mark.parametrize("sized", [False, True], ids=["same_sizes", "other_sizes"])
def test_run_killed_at_random_instants_ends_as_undisturbed(
    parent: Parent, whole: Undisturbed, tmp_path: Path, sized: bool
) -> None:
    kills = 0
    for seed in range(100):
        kills += kill_until_it_ends(parent, whole, tmp_path / f"{seed}", Random(seed), 5, sized=sized)
        if kills >= 20:
            break
    assert kills >= 20


@pytest.mark.prove
def test_run_killed_at_500_random_instants_ends_as_undisturbed(parent: Parent, directory: Path, tmp_path: Path) -> None:
    whole = parent.undisturbed(write_session(directory / "long", 3000))
    kills, seed = 0, 1000
    while kills < 500:
        kills += kill_until_it_ends(parent, whole, tmp_path / f"{seed}", Random(seed), 12, sized=seed % 2 == 1)
        shutil.rmtree(tmp_path / f"{seed}")
        seed += 1


@pytest.fixture(scope="module")
def shimmed(directory: Path) -> Iterator[Parent]:
    """A parent whose children can be killed at a call, and whose calls can be made to fail. Its syncs cost nothing."""
    libraries = [crash_shim(directory), power_cut.compiled(directory)]
    log = {"POWER_CUT_DIR": str(directory / "runs"), "POWER_CUT_LOG": "/dev/null"}
    with Parent(directory / "shimmed", libraries, **log) as made:
        yield made


@pytest.fixture
def runs(directory: Path) -> Iterator[Path]:
    """Where the shim watches."""
    (directory / "runs").mkdir()
    yield directory / "runs"
    shutil.rmtree(directory / "runs")


def calls_of(shimmed: Parent, whole: Undisturbed, results: Path) -> int:
    """How many calls change or sync files below the results of a run that is not disturbed."""
    answer = results.parent / "calls"
    whole.check(shimmed.run(whole.session, results, hooks=[["count_calls", str(results), str(answer)]]), results)
    return int(answer.read_text())


def kill_at_calls(shimmed: Parent, whole: Undisturbed, runs: Path, calls: range, before: Path | None) -> None:
    """Kill a run at each of these calls in turn, then the next one at its beginning, and have the third go to its end.

    Args:
        before: results of a session that has ended, to begin with; None for nothing.
    """
    for call in calls:
        results = runs / "killed"
        if before is not None:
            shutil.copytree(before, results)
        for number, how in ((call, "bah"[call % 3]), (1 + call * 7 % 40, "b")):
            ended = shimmed.run(whole.session, results, hooks=[["kill_at", str(results), number, how]])
            if ended.killed:
                part = read(journal_of(results))
                if before is None or not part.ended:
                    whole.check_part(part)
        ended = shimmed.run(whole.session, results)
        assert ended.code == 0, f"killed at call {call}: {ended.err}"
        whole.check(ended, results)
        shutil.rmtree(results)


def test_run_killed_at_its_writes_ends_as_undisturbed(shimmed: Parent, short: Undisturbed, runs: Path) -> None:
    calls = calls_of(shimmed, short, runs / "counted")
    assert calls > 300
    kill_at_calls(shimmed, short, runs, range(1, calls + 1, calls // 15), None)


@pytest.mark.prove
def test_run_killed_at_every_write_ends_as_undisturbed(shimmed: Parent, short: Undisturbed, runs: Path) -> None:
    kill_at_calls(shimmed, short, runs, range(1, calls_of(shimmed, short, runs / "counted") + 1), None)


@pytest.mark.parametrize(
    ("first", "every"), [(14, 3), pytest.param(1, 1, marks=pytest.mark.prove)], ids=["some", "each"]
)  # fmt: skip
def test_run_killed_while_a_finished_journal_is_set_aside_ends_as_undisturbed(
    shimmed: Parent, short: Undisturbed, runs: Path, first: int, every: int
) -> None:
    finished = runs / "finished"
    short.check(shimmed.run(short.session, finished), finished)
    kill_at_calls(shimmed, short, runs, range(first, 60, every), finished)


def recorded(directory: Path, whole: Undisturbed, name: str, times: int) -> tuple[Path, Path]:
    """Run a session to its end, so many times one after the other: (where its journal is, the record of all calls on it)."""
    results, log = directory / name, directory / f"{name}.log"
    kept = journal_of(results).parent
    kept.mkdir(parents=True)
    watched = {"POWER_CUT_DIR": str(kept), "POWER_CUT_LOG": str(log)}
    with Parent(directory / f"{name}_parent", [power_cut.compiled(directory)], **watched) as parent:
        for _ in range(times):
            whole.check(parent.run(whole.session, results, hooks=[["report", str(kept / power_cut.REPORTS)]]), results)
    return kept, log


def cuts(log: Path, kept: Path, count: int, seed: int) -> Iterator[tuple[dict[str, int], dict[str, bytes]]]:
    """`count` power cuts at random points: (records of each strategy that were said to be recorded, what is on the disk)."""
    random = Random(seed)
    record = list(steps(log))
    wanted: dict[int, list[Kept]] = {}
    for number in range(count):
        wanted.setdefault(random.randrange(len(record)), []).append(KEPT[number % len(KEPT)])
    disk = Disk(kept)
    for at, step in enumerate(record):
        disk.play(step)
        for choice in wanted.get(at, ()):
            said = dict(line.split() for line in disk.reports.splitlines())
            yield {name: int(rows) for name, rows in said.items()}, disk.image(choice, random)


def missing(said: dict[str, int], results: Path) -> dict[str, int]:
    """How many records of each strategy were said to be recorded and are not there."""
    there = read(journal_of(results)).owners
    short = {name: rows - len(there[name].rows if name in there else []) for name, rows in said.items()}
    return {name: rows for name, rows in short.items() if rows > 0}


def check_cuts(parent: Parent, whole: Undisturbed, directory: Path, tmp_path: Path, name: str, times: int, count: int) -> None:
    kept, log = recorded(directory, whole, name, times)
    for number, (said, image) in enumerate(cuts(log, kept, count, seed=times)):
        results = tmp_path / "image"
        lay_out(image, journal_of(results).parent)
        if times == 1:
            assert missing(said, results) == {}, f"cut {number}"
        ended = parent.run(whole.session, results)
        assert ended.code == 0, f"cut {number}: {sorted(image)}: {ended.err}"
        whole.check(ended, results)


def test_run_power_cut_anywhere_ends_as_undisturbed(parent: Parent, short: Undisturbed, directory: Path, tmp_path: Path) -> None:
    check_cuts(parent, short, directory, tmp_path, "cut", 1, 24)


def test_run_power_cut_in_a_second_run_ends_as_undisturbed(
    parent: Parent, short: Undisturbed, directory: Path, tmp_path: Path
) -> None:
    check_cuts(parent, short, directory, tmp_path, "cut_second", 2, 12)


@pytest.mark.prove
@pytest.mark.parametrize("times", [1, 2])
def test_run_power_cut_at_many_points_ends_as_undisturbed(
    parent: Parent, whole: Undisturbed, directory: Path, tmp_path: Path, times: int
) -> None:
    check_cuts(parent, whole, directory, tmp_path, f"cut_prove{times}", times, 600)


def test_run_without_syncs_power_cut_loses_records(parent: Parent, directory: Path, tmp_path: Path) -> None:
    # The tests above can fail: the same, but for the syncs.
    loose = parent.undisturbed(write_session(directory / "loose", 130, journal={"durable": False}))
    kept, log = recorded(directory, loose, "loose_runs", 1)
    losses = 0
    for said, image in cuts(log, kept, 24, seed=1):
        lay_out(image, journal_of(tmp_path / "image").parent)
        try:
            losses += bool(missing(said, tmp_path / "image"))
        except JournalError:  # damaged, which also shows
            losses += 1
    assert losses > 5
