"""Crashes: a session that was killed, cut off or starved goes on when it is started again, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stratd.errors import JournalError
from stratd.execution.records import Event, Intent, OrderEnded, Refused
from stratd.journal.journal import Journal
from stratd.model import Fill
from stratd.testing.bars import nanoseconds
from tests.support import power_cut
from tests.support.crash_runs import Parent, Undisturbed, crash_shim
from tests.support.crash_session import CLASSES, NAME, check_sane, journal_of, read, write_session
from tests.support.power_cut import Disk, Kept, lay_out, steps

MINUTES, SHORT_MINUTES = 182, 103  # their last buckets of 5m are not whole
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
    """A session of some hours."""
    return parent.undisturbed(write_session(directory / "session", MINUTES))


@pytest.fixture(scope="module")
def short(parent: Parent, directory: Path) -> Undisturbed:
    """A session that does not write much."""
    return parent.undisturbed(write_session(directory / "short", SHORT_MINUTES))


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


def calls_of(shimmed: Parent, whole: Undisturbed, results: Path, before: Path | None = None) -> int:
    """How many calls change or sync files below the results of a run that is not disturbed, and finds what is there `before`."""
    answer = results.parent / "calls"
    if before is not None:
        shutil.copytree(before, results)
    whole.check(shimmed.run(whole.session, results, hooks=[["count_calls", str(results), str(answer)]]), results)
    return int(answer.read_text())


MAKING_CALLS = 50
"""Calls on its files in which a journal is made: more than enough, and few of those of a whole run."""


def kill_at_calls(shimmed: Parent, whole: Undisturbed, runs: Path, calls: range, before: Path | None = None) -> None:
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
                try:
                    part = read(journal_of(results))
                except JournalError:
                    # Cut off while it was made, when nothing had been promised yet: whoever opens it to write begins anew.
                    assert number < MAKING_CALLS, f"killed at call {number}: the journal cannot be read"
                    continue
                if before is None or not part.ended:
                    whole.check_part(part)
        ended = shimmed.run(whole.session, results)
        assert ended.code == 0, f"killed at call {call}: {ended.err}"
        whole.check(ended, results)
        shutil.rmtree(results)


def test_run_killed_at_its_writes_ends_as_undisturbed(shimmed: Parent, short: Undisturbed, runs: Path) -> None:
    calls = calls_of(shimmed, short, runs / "counted")
    assert calls > 300
    kill_at_calls(shimmed, short, runs, range(1, calls + 1, calls // 12))


@pytest.mark.prove
def test_run_killed_at_every_write_ends_as_undisturbed(shimmed: Parent, short: Undisturbed, runs: Path) -> None:
    kill_at_calls(shimmed, short, runs, range(1, calls_of(shimmed, short, runs / "counted") + 1))


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed_before_it_was_closed"])
@pytest.mark.parametrize(
    ("first", "every"), [(17, 6), pytest.param(1, 1, marks=pytest.mark.prove)], ids=["some", "each"]
)  # fmt: skip
def test_run_killed_while_a_finished_journal_is_set_aside_ends_as_undisturbed(
    shimmed: Parent, short: Undisturbed, runs: Path, first: int, every: int, closed: bool
) -> None:
    finished = runs / "finished"
    if closed:
        short.check(shimmed.run(short.session, finished), finished)
    else:
        assert shimmed.run(short.session, finished, hooks=[["kill_after_end"]]).killed
    # Where it was not closed, its log comes into the file first, which is one call a page.
    calls = (
        calls_of(shimmed, short, runs / "calls_counted", finished) - calls_of(shimmed, short, runs / "counted")
        if not closed
        else 0
    )
    kill_at_calls(shimmed, short, runs, range(first, 70 + max(0, calls), every + max(0, calls) // 8 * (every > 1)), finished)


@pytest.mark.parametrize(
    ("first", "every"), [(1, 4), pytest.param(1, 1, marks=pytest.mark.prove)], ids=["some", "each"]
)  # fmt: skip
def test_backtest_killed_while_it_replaces_a_journal_can_be_run_again(
    shimmed: Parent, short: Undisturbed, runs: Path, first: int, every: int
) -> None:
    finished = runs / "finished"
    short.check(shimmed.run(short.session, finished, verb="backtest"), finished)
    for call in range(first, 40, every):
        results = shutil.copytree(finished, runs / "killed")
        shimmed.run(short.session, results, verb="backtest", hooks=[["kill_at", str(results), call, "bah"[call % 3]]])
        ended = shimmed.run(short.session, results, verb="backtest")
        assert ended.code == 0, f"killed at call {call}: {ended.err}"
        short.check(ended, results)
        shutil.rmtree(results)


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
    """`count` power cuts at random points: (records of each strategy that this run said are recorded, what is on the disk)."""
    random = Random(seed)
    record = list(steps(log))
    wanted: dict[int, list[Kept]] = {}
    for number in range(count):
        wanted.setdefault(random.randrange(len(record)), []).append(KEPT[number % len(KEPT)])
    disk = Disk(kept)
    for at, step in enumerate(record):
        disk.play(step)
        for choice in wanted.get(at, ()):
            said = dict(line.split() for line in disk.reports.rpartition("begin 0\n")[2].splitlines())
            yield {name: int(rows) for name, rows in said.items()}, disk.image(choice, random)


def missing(said: dict[str, int], results: Path) -> dict[str, int]:
    """How many records of each strategy were said to be recorded and are not there."""
    there = read(journal_of(results)).owners
    short = {name: rows - len(there[name].rows if name in there else []) for name, rows in said.items()}
    return {name: rows for name, rows in short.items() if rows > 0}


def check_cuts(parent: Parent, whole: Undisturbed, directory: Path, tmp_path: Path, name: str, count: int) -> None:
    """Cut the power in one of two runs, of which the second finds the journal of the first."""
    kept, log = recorded(directory, whole, name, 2)
    for number, (said, image) in enumerate(cuts(log, kept, count, seed=count)):
        results = tmp_path / "image"
        lay_out(image, journal_of(results).parent)
        assert missing(said, results) == {}, f"cut {number}"
        ended = parent.run(whole.session, results)
        assert ended.code == 0, f"cut {number}: {sorted(image)}: {ended.err}"
        whole.check(ended, results)


def test_run_power_cut_anywhere_ends_as_undisturbed(parent: Parent, short: Undisturbed, directory: Path, tmp_path: Path) -> None:
    check_cuts(parent, short, directory, tmp_path, "cut_short", 20)


@pytest.mark.prove
def test_run_power_cut_at_many_points_ends_as_undisturbed(
    parent: Parent, whole: Undisturbed, directory: Path, tmp_path: Path
) -> None:
    check_cuts(parent, whole, directory, tmp_path, "cut_whole", 1000)


def test_run_without_syncs_power_cut_loses_records(parent: Parent, directory: Path, tmp_path: Path) -> None:
    # The tests above can fail: the same, but for the syncs.
    loose = parent.undisturbed(write_session(directory / "loose", SHORT_MINUTES, journal={"durable": False}))
    kept, log = recorded(directory, loose, "cut_loose", 1)
    losses = 0
    for said, image in cuts(log, kept, 24, seed=1):
        lay_out(image, journal_of(tmp_path / "image").parent)
        try:
            losses += bool(missing(said, tmp_path / "image"))
        except JournalError:  # damaged, which also shows
            losses += 1
    assert losses > 5


def test_run_killed_between_its_last_record_and_its_end_ends_as_undisturbed(
    parent: Parent, short: Undisturbed, tmp_path: Path
) -> None:
    assert parent.run(short.session, tmp_path, hooks=[["kill_before_end"]]).killed
    assert read(journal_of(tmp_path)).essence() == short.journal.essence()
    short.check(parent.run(short.session, tmp_path), tmp_path)


@pytest.mark.parametrize("post", [5, 60])
def test_run_stopped_by_sigterm_goes_on_as_if_it_had_not_been(
    parent: Parent, short: Undisturbed, tmp_path: Path, post: int
) -> None:
    stopped = parent.run(short.session, tmp_path, "--window", "16", "--block", "16", hooks=[["terminate", post]])
    assert stopped.code != 0
    assert stopped.result["stopped_by"] == "stopped"
    short.check_part(read(journal_of(tmp_path)))
    short.check(parent.run(short.session, tmp_path), tmp_path)


@pytest.mark.parametrize("window", ["1", "3", "64"])
def test_run_undisturbed_is_the_same_for_every_window_and_as_a_backtest(
    parent: Parent, short: Undisturbed, tmp_path: Path, window: str
) -> None:
    for verb in ("run", "backtest"):
        short.check(parent.run(short.session, tmp_path / verb, "--window", window, verb=verb), tmp_path / verb)


# A disk that fails.

OUTAGES: dict[str, tuple[list[list[Any]], str]] = {
    "disk_full": ([["fault", 40, "w", "-wal", "ENOSPC", -1]], "the disk is full: free some space"),
    "sync_fails": ([["fault", 40, "s", "-wal", "EIO", -1]], "the disk reports an error: look at the system's log"),
    "locked": ([["lock", 40, "{journal}"]], "another program holds the file locked: close it"),
    "moved_away": ([["move_away", 40, "{directory}"]], "is gone or was replaced: put it back"),
    "full_at_once": ([["fault", 1, "w", "-wal", "ENOSPC", -1]], "the disk is full: free some space"),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_run_journal_fails_halts_says_why_and_goes_on_after_a_restart(
    shimmed: Parent, short: Undisturbed, runs: Path, outage: str
) -> None:
    results = runs / "failing"
    journal = journal_of(results)
    hooks, reason = OUTAGES[outage]
    places = {"{journal}": str(journal), "{directory}": str(journal.parent)}
    ended = shimmed.run(short.session, results, hooks=[[places.get(part, part) for part in hook] for hook in hooks])
    assert ended.code == 1
    assert not ended.late
    assert ended.cpu < 2.0 + 5 * short.seconds, "it spins"
    assert reason in ended.err
    assert "trading is halted" in ended.err
    last = ended.err.splitlines()[-1]
    assert reason in last
    assert "entries in" in last
    if outage == "moved_away":
        shutil.rmtree(journal.parent, ignore_errors=True)
        Path(f"{journal.parent}.gone").rename(journal.parent)
    # What it decided before is there, and nothing that came of the outage: with room again, it is as if it had been killed then.
    part = read(journal)
    assert not part.ended
    assert outage == "full_at_once" or len(part.owners) == len(CLASSES)
    short.check_part(part)
    short.check(shimmed.run(short.session, results), results)


@pytest.mark.parametrize(("what", "error"), [("w", "ENOSPC"), ("s", "EIO")])
def test_run_journal_fails_once_halts_and_is_not_taken_for_a_success(
    shimmed: Parent, short: Undisturbed, runs: Path, what: str, error: str
) -> None:
    results = runs / "failing"
    ended = shimmed.run(short.session, results, hooks=[["fault", 40, what, "-wal", error, 1]])
    for name, one in ended.result["strategies"].items():
        assert set(one["refused"]) <= {"journal", "nothing_to_reduce"}, name
    assert any("journal" in one["refused"] for one in ended.result["strategies"].values())
    assert any("trades no more" in note for note in ended.result["notes"])
    # All of it is recorded, what the halt cancelled too.
    kept = read(journal_of(results))
    check_sane(kept)
    for name, owned in kept.owners.items():
        told = sum(isinstance(event, Fill) for event in owned.events)
        assert told == ended.result["strategies"][name]["fills"]
    assert ended.code != 0, "a run that could not trade to its end is no success"


# Things that are not as they were.


@pytest.fixture(scope="module")
def cut(parent: Parent, whole: Undisturbed, directory: Path) -> Path:
    """Results of a run that was killed when every strategy had something on record."""
    results = directory / "cut"
    for number in range(20, 400, 10):
        shutil.rmtree(results, ignore_errors=True)
        assert parent.run(whole.session, results, hooks=[["kill_at_post", number]]).killed
        if len(read(journal_of(results)).owners) == len(CLASSES):
            break
    return results


@pytest.fixture
def again(cut: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(cut, tmp_path / "again")


@pytest.mark.parametrize("step_ns", [0, -3_600_000_000_000], ids=["back_a_year", "back_at_each_look"])
def test_run_clock_steps_back_ends_as_undisturbed(parent: Parent, whole: Undisturbed, again: Path, step_ns: int) -> None:
    # After the last bar, and long before the first run.
    hooks = [["clock", nanoseconds("2025-01-01T00:00"), step_ns]]
    whole.check(parent.run(whole.session, again, hooks=hooks), again)


def test_run_clock_before_the_bars_says_so_and_ends_nothing(parent: Parent, whole: Undisturbed, again: Path) -> None:
    # A machine that has lost its time: all bars are of the future. The session must still be there when the time is right.
    ended = parent.run(whole.session, again, hooks=[["clock", 0, 0]])
    assert ended.code != 0
    assert "Traceback" not in ended.err
    whole.check(parent.run(whole.session, again), again)


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("run", "is being written by process {}; stop it, or name another journal"),
        ("backtest", "holds a run of this session that has not ended, and a backtest would replace it"),
    ],
)
def test_run_journal_of_another_process_says_so(parent: Parent, whole: Undisturbed, again: Path, verb: str, said: str) -> None:
    before = read(journal_of(again)).essence()
    with Journal(journal_of(again), durable=True, session=NAME):
        ended = parent.run(whole.session, again, verb=verb)
    assert ended.code == 1
    assert said.format(os.getpid()) in ended.err
    assert ended.out == ""
    assert read(journal_of(again)).essence() == before


def test_run_other_order_of_symbols_says_what_and_changes_nothing(
    parent: Parent, whole: Undisturbed, again: Path, tmp_path: Path
) -> None:
    session = write_session(tmp_path / "session", MINUTES)
    config = json.loads(session.read_text())
    config["session_data_config"]["symbols"].reverse()
    session.write_text(json.dumps(config))
    before = read(journal_of(again)).essence()
    ended = parent.run(session, again)
    assert ended.code == 1
    assert "was kept with other symbols" in ended.err
    assert read(journal_of(again)).essence() == before
    whole.check(parent.run(whole.session, again), again)


def test_run_strategy_is_gone_says_what_it_left_and_keeps_it(
    parent: Parent, whole: Undisturbed, again: Path, tmp_path: Path
) -> None:
    names = [name for name in CLASSES if name != "bracketeer"]
    before = read(journal_of(again)).owners["bracketeer"]
    ended = parent.run(write_session(tmp_path / "session", MINUTES, names), again)
    said = ended.err + ended.out
    assert "bracketeer" in said
    assert "is not in the session any more" in said
    assert read(journal_of(again)).owners["bracketeer"].rows == before.rows


def test_run_on_restart_flatten_closes_everything_at_the_next_open(parent: Parent, again: Path, tmp_path: Path) -> None:
    before = read(journal_of(again))
    ended = parent.run(write_session(tmp_path / "session", MINUTES, journal={"on_restart": "flatten"}), again)
    assert ended.code == 0, ended.err
    check_sane(read(journal_of(again)))
    for name, owned in read(journal_of(again)).owners.items():
        new = owned.events[len(before.owners[name].events) :]
        ends = [event for event in new if isinstance(event, OrderEnded) and "at the restart" in event.reason]
        held = held_after(before.owners[name].events)
        exits = [event.order for event in new if isinstance(event, Intent) and event.time == before.owners[name].time]
        assert {(order.symbol, order.quantity, str(order.side)) for order in exits} == {
            (symbol, abs(quantity), "sell" if quantity > 0 else "buy") for symbol, quantity in held.items()
        }, name
        assert all(order.reduce_only for order in exits)
        assert all(event.time == before.owners[name].time for event in ends)


def held_after(events: Sequence[Event]) -> dict[str, float]:
    """What is held after these fills."""
    held: dict[str, float] = {}
    for event in events:
        if isinstance(event, Fill):
            held[event.symbol] = held.get(event.symbol, 0.0) + (event.quantity if event.side == "buy" else -event.quantity)
    return {symbol: round(quantity, 9) for symbol, quantity in held.items() if round(quantity, 9)}


def test_run_on_restart_hold_keeps_orders_and_lets_none_through(parent: Parent, again: Path, tmp_path: Path) -> None:
    before = read(journal_of(again))
    ended = parent.run(write_session(tmp_path / "session", MINUTES, journal={"on_restart": "hold"}), again)
    assert ended.code == 0, ended.err
    kinds = set()
    for name, owned in read(journal_of(again)).owners.items():
        new = owned.events[len(before.owners[name].events) :]
        # At the session's end its positions are closed, where its rules say so.
        assert not any(isinstance(event, Intent) and event.time < owned.time for event in new), name
        assert {str(event.reason) for event in new if isinstance(event, Refused)} <= {"halted", "nothing_to_reduce"}
        kinds |= {type(event) for event in new}
    assert {Fill, Refused} <= kinds, "what worked goes on working"


def flipped(path: Path, random: Random) -> int:
    """Change one bit of a file. Returns where."""
    content = bytearray(path.read_bytes())
    at = random.randrange(len(content))
    content[at] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    return at


def check_flips(parent: Parent, whole: Undisturbed, cut: Path, tmp_path: Path, count: int, seed: int) -> int:
    """Change a bit of a journal again and again: a restart refuses it and says so, or it made no difference. Returns how often it refused."""
    random = Random(seed)
    refused = 0
    for number in range(count):
        results = shutil.copytree(cut, tmp_path / f"{number}")
        journal = journal_of(results)
        ending = ("", "-wal", "in one file", ".lock")[number % 4]
        if ending == "in one file":
            ending = ""
            with closing(sqlite3.connect(journal)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        where = f"{ending or 'file'} at {flipped(journal.with_name(journal.name + ending), random)}"
        ended = parent.run(whole.session, results)
        if ended.code == 0:
            whole.check(ended, results)
        else:
            refused += 1
            assert ended.code == 1, where
            assert ended.out == "", where
            assert ended.err.startswith(f"{journal}: is damaged:"), f"{where}: {ended.err}"
        shutil.rmtree(results)
    return refused


def test_run_changed_bit_in_the_journal_is_refused_or_makes_no_difference(
    parent: Parent, whole: Undisturbed, cut: Path, tmp_path: Path
) -> None:
    assert check_flips(parent, whole, cut, tmp_path, 8, seed=1) >= 2


@pytest.mark.prove
def test_run_many_changed_bits_in_the_journal_are_refused_or_make_no_difference(
    parent: Parent, whole: Undisturbed, cut: Path, tmp_path: Path
) -> None:
    assert check_flips(parent, whole, cut, tmp_path, 600, seed=2) >= 200
