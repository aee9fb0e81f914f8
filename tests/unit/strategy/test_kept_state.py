from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stratd.errors import StrategyStateError
from stratd.strategy import kept_state
from stratd.strategy.kept_state import KeptState

DEEP: list[Any] = []
for _ in range(200_000):  # deeper than any Python version follows
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "save_state gave NoneType and not a dict"),
        ([1], "save_state gave list and not a dict"),
        ({"x": np.int64(1)}, "int64 is not JSON serializable"),
        ({"x": {1, 2}}, "set is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str"),
        ({"x": DEEP}, "save_state gave what JSON has no place for"),
    ],
)
def test_take_what_cannot_be_kept_is_refused_and_the_last_good_one_stays(state: Any, said: str) -> None:
    kept = KeptState()
    kept.take({"good": 1})
    with pytest.raises(StrategyStateError) as caught:
        kept.take(state)
    assert said in str(caught.value)
    assert kept.value == {"good": 1}


def test_take_too_much_is_refused_and_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_state, "MOST_CHARACTERS", 20)
    kept = KeptState()
    kept.take({"x": "y" * 11})
    with pytest.raises(StrategyStateError, match="gave 21 characters of JSON, and 20 are the most that can be kept"):
        kept.take({"x": "y" * 12})
    assert kept.value == {"x": "y" * 11}


def test_value_is_as_it_was_taken_whatever_the_strategy_does_with_it() -> None:
    kept, state = KeptState(), {"seen": [1]}
    assert kept.value == {}
    kept.take(state)
    state["seen"].append(2)
    kept.value["seen"].append(3)
    assert kept.value == {"seen": [1]}
