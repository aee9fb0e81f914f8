from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from stratd.data.block import MALFORMED_TIME, UNKNOWN_SYMBOL, BarBlock
from stratd.data.intake import Reject, RejectsFile
from stratd.errors import SessionError
from stratd.testing.bars import bars, nanoseconds

from ...support.spine import Spine

NOON = nanoseconds("2024-01-02T12:00")


def block(times: list[int], symbols: list[int] | None = None) -> BarBlock:
    rows = len(times)
    numbers = np.arange(rows, dtype=np.float64)
    return BarBlock(
        np.array(times, np.int64),
        np.array([0] * rows if symbols is None else symbols, np.int32),
        numbers, numbers + 0.25, -numbers, numbers * np.nan, numbers,
        source=np.arange(rows, dtype=np.int32) % 2,
        line=np.arange(rows) + 10,
        unknown={i: f"X{i}" for i, symbol in enumerate(symbols or []) if symbol == UNKNOWN_SYMBOL},
    )  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_keep_rows_that_are_used_makes_no_file(tmp_path: Path) -> None:
    rejects = RejectsFile(tmp_path / "deep" / "rejects.csv")
    rejects.keep(block([NOON, NOON]), np.zeros(2, np.uint8), ("AAA",), ("a.csv", "b.csv"))
    assert (rejects.written, rejects.rejected(), rejects.path.parent.exists()) == (False, {}, False)
    assert rejects.counts[Reject.USED] == 2
    rejects.close()


def test_keep_writes_each_row_with_where_it_stood_and_why_it_was_not_used(tmp_path: Path) -> None:
    rejects = RejectsFile(tmp_path / "deep" / "rejects.csv")
    codes = np.array([Reject.NAN, Reject.USED, Reject.UNKNOWN_SYMBOL], np.uint8)
    rejects.keep(block([NOON, NOON, NOON], [0, 0, UNKNOWN_SYMBOL]), codes, ("AAA",), ("a,1.csv", "b.csv"))
    rejects.keep(block([NOON]), np.array([Reject.OUT_OF_ORDER], np.uint8), ("AAA",), ("a,1.csv", "b.csv"))
    rejects.close()
    rejects.close()
    first, second, third = read(rejects.path)
    assert (first["source"], first["line"], first["symbol"], first["kind"]) == ("a,1.csv", "10", "AAA", "nan")
    assert first["open_time"] == "2024-01-02T12:00:00Z"
    assert [first[name] for name in ("open", "high", "low", "close", "volume")] == ["0.0", "0.25", "-0.0", "nan", "0.0"]
    assert (second["symbol"], second["line"], second["kind"]) == ("X2", "12", "unknown_symbol")
    assert third["kind"] == "out_of_order"
    assert all(row["reason"] for row in (first, second, third))
    assert rejects.rejected() == {"nan": 1, "unknown_symbol": 1, "out_of_order": 1}
    assert rejects.written


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (MALFORMED_TIME, ""),
        (NOON + 1, "2024-01-02T12:00:00.000000001Z"),
        (NOON + 30_500_000_000, "2024-01-02T12:00:30.500000000Z"),
        (-60_000_000_000, "1969-12-31T23:59:00Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
    ],
)
def test_keep_time_of_any_kind_can_be_told_from_a_minute(tmp_path: Path, time: int, text: str) -> None:
    rejects = RejectsFile(tmp_path / "rejects.csv")
    rejects.keep(block([time]), np.array([Reject.MISALIGNED_MINUTE], np.uint8), ("AAA",), ("a.csv", "b.csv"))
    rejects.close()
    assert read(rejects.path)[0]["open_time"] == text


def test_keep_file_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file is in the way")
    rejects = RejectsFile(tmp_path / "results" / "rejects.csv")
    with pytest.raises(SessionError, match="--results-dir"):
        rejects.keep(block([NOON]), np.array([Reject.NAN], np.uint8), ("AAA",), ("a.csv", "b.csv"))


def test_keep_on_a_full_disk_ends_the_run_once(tmp_path: Path) -> None:
    rejects = RejectsFile(tmp_path / "rejects.csv")
    rejects._file = open("/dev/full", "w")  # noqa: SIM115 - what a full disk is to a program
    with pytest.raises(SessionError, match="No space left on device"):
        rejects.keep(block([NOON]), np.array([Reject.NAN], np.uint8), ("AAA",), ("a.csv", "b.csv"))
    rejects.close()


def test_every_kind_has_a_reason_a_label_and_a_number_of_its_own() -> None:
    from stratd.data.intake import _REASONS

    assert set(_REASONS) == set(Reject) - {Reject.USED}
    assert len(set(_REASONS.values())) == len(_REASONS)
    assert [kind.value for kind in Reject] == list(range(len(Reject)))
    assert Reject.OHLC_CONTRADICTION.label == "ohlc_contradiction"


def test_intake_each_kind_of_dirt_is_told_apart(tmp_path: Path) -> None:
    """What the derivation says of a row, as it arrives in the file."""
    spine = Spine(results=tmp_path)
    rows = bars(
        """
        12:00 100 101 99 100 5
        12:00 100 101 99 100 5       # the same again
        12:00 100 101 99 100 6       # another for the same minute
        12:01 nan 101 99 100 5
        12:02 100 101 99 inf 5
        12:03 100 101 -1 100 5
        12:04 100 99 101 100 5
        12:05 100 101 99 100 -5
        12:06 100 101 99 100 0
        12:04 100 101 99 100 5       # older
        """
    ) + bars("12:07 100", symbol="ZZZ")  # fmt: skip
    rows.append(rows[0]._replace(open_time=rows[0].open_time + 8 * 60_000_000_000 + 1))
    spine.run(rows)
    assert spine.rejects.rejected() == {
        "unknown_symbol": 1, "misaligned_minute": 1, "nan": 2, "non_positive_price": 1, "ohlc_contradiction": 1,
        "negative_volume": 1, "out_of_order": 1, "duplicate_same": 1, "duplicate_conflicting": 1,
    }  # fmt: skip
    assert [row["line"] for row in read(spine.rejects.path)] == ["2", "3", "4", "5", "6", "7", "8", "10", "11", "12"]
    assert spine.processor.bars_in == 2
