from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.model import Side
from stratd.strategy.signals import SignalLog, SignalRecord

BASE = SignalRecord(120, 60, 0, Side.BUY, 0.5, "because", 0.1, 10.0, 9.0, 12.0, None)


def digest(*records: SignalRecord) -> str:
    log = SignalLog(False)
    log.take(records)
    return log.digest()


@pytest.mark.parametrize(
    "other",
    [
        BASE._replace(time=121),
        BASE._replace(open_time=61),
        BASE._replace(symbol=1),
        *[
            BASE._replace(**{name: value})
            for name, value in [
                ("side", Side.SELL), ("side", Side.FLAT), ("strength", 0.25), ("target_weight", None), ("target_weight", -0.1),
                ("limit_price", 10.5), ("limit_price", None), ("stop_price", 9.5), ("take_profit_price", None),
            ]
        ],
    ],
)  # fmt: skip
def test_digest_another_number_is_another_digest(other: SignalRecord) -> None:
    assert digest(other) != digest(BASE)


def test_digest_does_not_depend_on_words_and_does_on_order() -> None:
    assert digest(BASE._replace(reason="for another reason")) == digest(BASE)
    other = BASE._replace(symbol=1)
    assert digest(BASE, other) != digest(other, BASE)
    assert digest(BASE) != digest(BASE, BASE)
    assert digest(BASE) != digest()


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 7))
def test_take_any_windows_give_the_same(numbers: list[int], size: int) -> None:
    records = [BASE._replace(time=number) for number in numbers]
    whole, parts = SignalLog(True), SignalLog(True)
    whole.take(records)
    for first in range(0, len(records), size):
        parts.take(records[first : first + size])
    assert parts.digest() == whole.digest()
    assert parts.kept == whole.kept == records
    assert parts.count == len(records)


def test_take_without_keeping_counts_only() -> None:
    log = SignalLog(False)
    log.take([BASE, BASE])
    assert (log.count, log.kept) == (2, [])
