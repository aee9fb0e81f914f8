from __future__ import annotations

import os
from pathlib import Path

from stratd.risk.kill_switch import FILE_NAME, KillSwitch

from ...support.spine import Lines


class Account:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def throw_kill_switch(self) -> None:
        self.calls.append("throw")

    def release_kill_switch(self) -> None:
        self.calls.append("release")


def switch(folder: Path) -> tuple[KillSwitch, list[Account], Lines]:
    accounts, lines = [Account(), Account()], Lines()
    return KillSwitch(folder / FILE_NAME, accounts, lines), accounts, lines


def test_check_without_the_file_nothing_happens(tmp_path: Path) -> None:
    made, accounts, lines = switch(tmp_path / "not" / "there")
    assert [made.check(), made.check()] == [False, False]
    assert (accounts[0].calls, lines.kept, made.reason, made.count) == ([], [], None, 0)


def test_check_file_stops_every_account_once_and_its_content_is_the_reason(tmp_path: Path) -> None:
    made, accounts, lines = switch(tmp_path)
    made.path.write_text("the venue is on fire\n")
    assert [made.check(), made.check()] == [True, True]
    assert [one.calls for one in accounts] == [["throw"]] * 2
    assert made.reason == "the venue is on fire"
    assert [level for level, _, _ in lines.kept] == ["error"]
    assert lines.kept[0][2] == {"file": str(made.path), "reason": made.reason}


def test_check_file_that_goes_lets_orders_through_and_another_one_stops_again(tmp_path: Path) -> None:
    made, accounts, lines = switch(tmp_path)
    made.path.write_text("")
    assert made.check()
    assert made.reason == "no reason given"
    made.path.unlink()
    assert not made.check()
    assert made.reason is None
    made.path.write_text("again")
    assert made.check()
    assert accounts[1].calls == ["throw", "release", "throw"]
    assert made.count == 2
    assert [level for level, _, _ in lines.kept] == ["error", "warning", "error"]


def test_check_whatever_is_there_stops_even_if_it_cannot_be_read(tmp_path: Path) -> None:
    for name, make in {
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
        "link": lambda path: path.symlink_to("nowhere"),
        "bytes": lambda path: path.write_bytes(b"\xff\xfe" * 2_000),
    }.items():
        made, accounts, _ = switch(tmp_path / name)
        (tmp_path / name).mkdir()
        make(made.path)
        assert made.check(), name
        assert accounts[0].calls == ["throw"]
        assert made.reason


def test_check_place_that_cannot_be_looked_at_stops(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)  # a folder that leads to itself
    made, accounts, _ = switch(loop)
    assert made.check()
    assert accounts[0].calls == ["throw"]
    assert "no reason can be read" in str(made.reason)
