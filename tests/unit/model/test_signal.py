from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.model import Side, Signal

PRICES = ("limit_price", "stop_price", "take_profit_price")


def test_signal_says_no_more_than_it_was_given() -> None:
    signal = Signal("AAA", Side.BUY)
    assert (signal.strength, signal.reason, signal.target_weight) == (1.0, "", None)
    assert [getattr(signal, name) for name in PRICES] == [None, None, None]
    with pytest.raises(FrozenInstanceError):
        signal.strength = 0.5  # type: ignore[misc]


@pytest.mark.parametrize("text", ["buy", "sell", "flat"])
def test_signal_side_as_text_becomes_a_side(text: str) -> None:
    assert Signal("AAA", text).side is Side(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", ["hold", "BUY", "", None, 1])
def test_signal_side_that_is_none_is_refused(side: Any) -> None:
    with pytest.raises(ValueError):
        Signal("AAA", side)


@pytest.mark.parametrize("reason", [None, 5, b"because", 0.5])
def test_signal_reason_that_is_no_text_is_refused(reason: Any) -> None:
    with pytest.raises(TypeError, match="reason is text"):
        Signal("AAA", Side.BUY, reason=reason)


@given(st.floats())
def test_signal_strength_is_between_0_and_1(strength: float) -> None:
    if 0 <= strength <= 1:
        assert Signal("AAA", Side.BUY, strength).strength == strength
    else:
        with pytest.raises(ValueError, match="strength is between 0 and 1"):
            Signal("AAA", Side.BUY, strength)


@given(st.sampled_from(PRICES), st.floats())
def test_signal_price_is_finite_and_above_zero(name: str, price: float) -> None:
    values: dict[str, Any] = {name: price}
    if math.isfinite(price) and price > 0:
        assert getattr(Signal("AAA", Side.BUY, **values), name) == price
    else:
        with pytest.raises(ValueError, match=name):
            Signal("AAA", Side.BUY, **values)


@given(st.floats())
def test_signal_target_weight_is_finite_and_may_be_negative(weight: float) -> None:
    if math.isfinite(weight):
        assert Signal("AAA", Side.SELL, target_weight=weight).target_weight == weight
    else:
        with pytest.raises(ValueError, match="target_weight"):
            Signal("AAA", Side.SELL, target_weight=weight)
