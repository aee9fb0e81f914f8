from __future__ import annotations

import pytest

from stratd.indicators import ATR, EMA, RSI, SMA, Highest, Indicator, Lowest


def test_spec_with_equal_parameters_is_equal_and_hashes_alike() -> None:
    assert SMA(10) == SMA(10, "close")
    assert len({SMA(10), SMA(10), SMA(11), EMA(10), SMA(10, "high"), Highest(10), Lowest(10)}) == 6


def test_spec_is_immutable() -> None:
    with pytest.raises(AttributeError):
        SMA(10).period = 11  # type: ignore[misc]


@pytest.mark.parametrize(
    ("spec", "label"),
    [(SMA(10), "SMA(10)"), (SMA(10, "high"), "SMA(10, high)"), (ATR(14), "ATR(14)"), (Highest(20), "Highest(20)")],
)
def test_spec_label_names_what_is_not_usual(spec: Indicator, label: str) -> None:
    assert spec.label == label == str(spec)


@pytest.mark.parametrize("period", [0, -1, 2.0, True, "10", None])
def test_spec_with_a_bad_period_says_so(period: object) -> None:
    with pytest.raises(ValueError, match=f"whole number of bars, 1 or more, not {period!r}"):
        SMA(period)  # type: ignore[arg-type]


def test_rsi_of_one_bar_is_refused() -> None:
    with pytest.raises(ValueError, match="2 or more"):
        RSI(1)


def test_spec_with_a_misspelt_source_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'close'"):
        SMA(10, "closes")


def test_indicator_base_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Indicator()  # type: ignore[abstract]
