from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.journal.entry import MOST_PAYLOAD_BYTES, BrokenChain, Entry, Head, Row, checked, digest_of, first_head, row_of

int64 = st.integers(-(2**63), 2**63 - 1)
entries = st.builds(Entry, st.text(max_size=20), int64, int64, st.binary(max_size=100))


def chained(rows: list[Row], group_of: Any = lambda number: number) -> list[tuple[Any, ...]]:
    """Rows as they are selected from the table, in groups of one."""
    digest, out = first_head("s").digest, []
    for sequence, row in enumerate(rows, 1):
        digest = digest_of(digest, sequence, group_of(sequence), row.fixed, row.payload)
        out.append((sequence, group_of(sequence), row.owner.encode(), row.kind, row.time, row.payload, digest))
    return out


@given(st.lists(entries, max_size=8))
def test_checked_rows_as_written_gives_the_entries(posted: list[Entry]) -> None:
    found = list(checked(first_head("s"), chained([row_of(entry) for entry in posted])))
    assert [entry for _, entry in found] == posted
    assert [head.sequence for head, _ in found] == list(range(1, len(posted) + 1))


@given(st.lists(entries, min_size=1, max_size=6), st.data())
def test_checked_one_value_changed_names_that_row(posted: list[Entry], data: st.DataObject) -> None:
    rows = chained([row_of(entry) for entry in posted])
    at = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 6))
    other = data.draw(
        st.one_of(int64, st.binary(max_size=20), st.none(), st.floats(), st.text(max_size=3)).filter(
            lambda v: v != rows[at][column]
        )
    )
    rows[at] = (*rows[at][:column], other, *rows[at][column + 1 :])
    with pytest.raises(BrokenChain) as caught:
        list(checked(first_head("s"), rows))
    assert caught.value.sequence == at + 1


@given(st.lists(entries, min_size=2, max_size=6), st.data())
def test_checked_a_row_missing_names_it(posted: list[Entry], data: st.DataObject) -> None:
    rows = chained([row_of(entry) for entry in posted])
    at = data.draw(st.integers(0, len(rows) - 2))
    del rows[at]
    with pytest.raises(BrokenChain, match="is missing") as caught:
        list(checked(first_head("s"), rows))
    assert caught.value.sequence == at + 1


def test_checked_another_session_does_not_fit() -> None:
    rows = chained([row_of(Entry("a", 1, 2, b"x"))])
    with pytest.raises(BrokenChain, match="entry 1 is not what was written"):
        list(checked(first_head("t"), rows))


def test_checked_groups_that_skip_a_number_are_refused() -> None:
    rows = chained([row_of(Entry("a", 1, 2, b"x"))] * 2, group_of=lambda number: 2 * number - 1)
    with pytest.raises(BrokenChain, match="entry 2 is of group 3 and comes after group 1"):
        list(checked(first_head("s"), rows))


def test_row_of_the_border_between_owner_and_payload_is_in_the_digest() -> None:
    first, second = row_of(Entry("ab", 1, 2, b"c")), row_of(Entry("a", 1, 2, b"bc"))
    assert digest_of(b"", 1, 1, first.fixed, first.payload) != digest_of(b"", 1, 1, second.fixed, second.payload)


def test_row_of_a_buffer_is_copied() -> None:
    buffer = bytearray(b"abc")
    row = row_of(Entry("a", 1, 2, buffer))  # type: ignore[arg-type]
    buffer[0] = 0
    assert row.payload == b"abc"


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (("a", 1, 2, 5), TypeError),
        (("a", 1, 2, "text"), TypeError),
        (Entry("a", 2**63, 2, b""), ValueError),
        (("a", 1, 0.5, b""), ValueError),
        (Entry("\ud800", 1, 2, b""), ValueError),
        (Entry("a", 1, 2, bytes(MOST_PAYLOAD_BYTES + 1)), ValueError),
    ],
    ids=["number", "text", "too_large", "fraction", "surrogate", "too_long"],
)
def test_row_of_what_does_not_fit_the_table_is_refused(entry: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        row_of(entry)


def test_first_head_nothing_is_there() -> None:
    assert first_head("s")[:2] == Head(0, 0, b"")[:2]
