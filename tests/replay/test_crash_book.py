"""Crashes of a session with a book: accounts and book go on at the end of the same step, and end as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stratd.execution.account_journal import BOOK, CHECKPOINT
from stratd.journal.reader import read_journal
from tests.support.crash_runs import Parent, Undisturbed
from tests.support.crash_session import ACCOUNT, CLASSES, journal_of, read, write_session

MINUTES = 120
LIMITED: dict[str, Any] = {
    "netting": "internal", "shared_buying_power": True,
    "risk": {"max_orders_per_minute": 2, "consecutive_losses": 6, "daily_loss_fraction": 0.00004},
}  # fmt: skip
FREE: dict[str, Any] = {"netting": "internal", "risk": {"max_position_quantity": 3000, "consecutive_losses": 60}}
# What has a bound of volume does not cross.
UNBOUND: dict[str, Any] = {**ACCOUNT, "participation": None, "latency_seconds": 0.0}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash_book")


@pytest.fixture(scope="module")
def parent(directory: Path) -> Iterator[Parent]:
    with Parent(directory / "parent") as made:
        yield made


@pytest.fixture(scope="module", params=["limited", "free"])
def whole(request: pytest.FixtureRequest, parent: Parent, directory: Path) -> Undisturbed:
    more = {"book": LIMITED} if request.param == "limited" else {"book": FREE, "account": UNBOUND}
    made = parent.undisturbed(write_session(directory / request.param, MINUTES, **more))
    said = made.result["book"]
    assert said["approved"] >= 15
    # What is to be proved needs to happen.
    if request.param == "limited":
        assert (said["state"], said["limit"]) == ("halted", "daily loss")
        assert said["refused"]
    else:
        assert said["state"] == "active"
        assert said["crossed_lots"]
    return made


def groups_of(whole: Undisturbed) -> int:
    """How many groups its journal has."""
    return max(record.group for record in read_journal(journal_of(whole.session.parent / "undisturbed")))


def kill_at_posts(parent: Parent, whole: Undisturbed, tmp_path: Path, posts: range) -> None:
    """Kill a run before each of these groups in turn, and the one after it early, and have the third go to its end."""
    for post in posts:
        results = tmp_path / f"{post}"
        killed = 0
        for number in (post, 1 + post % 5):
            ended = parent.run(whole.session, results, hooks=[["kill_at_post", number]])
            killed += ended.killed
            whole.check_part(read(journal_of(results)))
        assert killed
        whole.check(parent.run(whole.session, results), results)


def test_run_with_a_book_killed_at_its_writes_ends_as_undisturbed(parent: Parent, whole: Undisturbed, tmp_path: Path) -> None:
    groups = groups_of(whole)
    assert groups > 25
    kill_at_posts(parent, whole, tmp_path, range(2, groups + 1, max(1, groups // 10)))


@pytest.mark.prove
def test_run_with_a_book_killed_at_every_write_ends_as_undisturbed(parent: Parent, whole: Undisturbed, tmp_path: Path) -> None:
    kill_at_posts(parent, whole, tmp_path, range(1, groups_of(whole) + 1))


def killed_at_random(parent: Parent, whole: Undisturbed, results: Path, random: Random, most: int) -> None:
    for _ in range(most):
        after = random.random() * whole.seconds * random.choice((0.3, 0.6, 1.0))
        ended = parent.run(whole.session, results, kill_after=after)
        if not ended.killed:
            whole.check(ended, results)
            return
        whole.check_part(read(journal_of(results)))
    whole.check(parent.run(whole.session, results), results)


def test_run_with_a_book_killed_at_random_instants_ends_as_undisturbed(
    parent: Parent, whole: Undisturbed, tmp_path: Path
) -> None:
    for seed in range(3):
        killed_at_random(parent, whole, tmp_path / f"{seed}", Random(seed), 4)


@pytest.mark.prove
def test_run_with_a_book_killed_at_300_random_instants_ends_as_undisturbed(
    parent: Parent, whole: Undisturbed, tmp_path: Path
) -> None:
    for seed in range(60):
        killed_at_random(parent, whole, tmp_path / f"{seed}", Random(seed), 5)


@pytest.mark.parametrize("post", [3, 20])
def test_run_with_a_book_stopped_by_sigterm_goes_on_as_if_it_had_not_been(
    parent: Parent, whole: Undisturbed, tmp_path: Path, post: int
) -> None:
    stopped = parent.run(whole.session, tmp_path, hooks=[["terminate", post]])
    assert stopped.result["stopped_by"] == "stopped"
    whole.check_part(read(journal_of(tmp_path)))
    # The last words of all strategies and of the book are one group.
    records = list(read_journal(journal_of(tmp_path)))
    last = [record.entry for record in records if record.group == records[-1].group]
    assert last[-1].kind == BOOK
    assert {entry.owner for entry in last if entry.kind == CHECKPOINT} <= set(CLASSES)
    whole.check(parent.run(whole.session, tmp_path), tmp_path)


def test_run_with_a_book_every_group_ends_with_the_book_as_of_that_step(whole: Undisturbed) -> None:
    records = [
        one for one in read_journal(journal_of(whole.session.parent / "undisturbed")) if one.entry.kind in (BOOK, CHECKPOINT)
    ]
    by_group: dict[int, list[Any]] = {}
    for record in records:
        by_group.setdefault(record.group, []).append(record.entry)
    for entries in by_group.values():
        assert entries[-1].kind == BOOK
        assert all(entry.time == entries[-1].time for entry in entries)


def test_run_with_a_book_whose_disk_fails_halts_everybody_and_goes_on_after_a_restart(
    parent: Parent, whole: Undisturbed, tmp_path: Path
) -> None:
    journal = journal_of(tmp_path)
    ended = parent.run(whole.session, tmp_path, hooks=[["lock", 12, str(journal)]])
    assert ended.code == 1
    assert "trading is halted" in ended.err
    assert "another program holds the file locked: close it" in ended.err
    whole.check_part(read(journal))
    whole.check(parent.run(whole.session, tmp_path), tmp_path)
