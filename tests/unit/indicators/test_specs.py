from __future__ import annotations

import pytest

from stratd.errors import IndicatorError
from stratd.indicators import ATR, EMA, MACD, RSI, SMA, Beta, Bollinger, Highest, Indicator, Lowest, On, TypicalPrice


def test_spec_with_equal_parameters_is_equal_and_hashes_alike() -> None:
    assert SMA(10) == SMA(10, "close")
    assert len({SMA(10), SMA(10), SMA(11), EMA(10), SMA(10, "high"), Highest(10), Lowest(10)}) == 6


def test_spec_is_immutable() -> None:
    with pytest.raises(AttributeError):
        SMA(10).period = 11  # type: ignore[misc]


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        (SMA(10), "SMA(10)"),
        (SMA(10, "high"), "SMA(10, high)"),
        (ATR(14), "ATR(14)"),
        (Highest(20), "Highest(20)"),
        (SMA(10).of(RSI()), "SMA(10, RSI(14))"),
        (EMA(5).of(MACD().output("signal")), "EMA(5, MACD(12, 26, 9).signal)"),
        (EMA(5, skip=3), "EMA(5, skip=3)"),
        (Bollinger(width=2.5), "Bollinger(20, 2.5)"),
        (MACD(aligned=True), "MACD(12, 26, 9, aligned=True)"),
        (Beta(60).of("close", On("close", "SPY")), "Beta(60, close@SPY)"),
        (SMA(3).of(On(EMA(5), "SPY", "15m")), "SMA(3, EMA(5)@SPY 15m)"),
        (TypicalPrice(), "TypicalPrice"),
    ],
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


def test_of_replaces_the_sources_and_nothing_else() -> None:
    assert EMA(12, skip=2).of("high") == EMA(12, "high", skip=2)
    assert EMA(12).of(TypicalPrice()) == EMA(12, TypicalPrice())
    assert hash(EMA(12).of(TypicalPrice())) == hash(EMA(12, TypicalPrice()))


def test_of_with_what_cannot_be_a_source_says_so() -> None:
    with pytest.raises(IndicatorError, match="ATR is computed from whole bars"):
        ATR().of("close")
    with pytest.raises(IndicatorError, match="EMA has 1 sources, 2 were given"):
        EMA(3).of("close", "open")
    with pytest.raises(ValueError, match="source is an indicator, or one of open, high"):
        EMA(3).of(3)  # type: ignore[arg-type]


def test_output_that_is_not_there_suggests_the_nearest() -> None:
    with pytest.raises(IndicatorError, match="did you mean 'signal'"):
        MACD().output("sginal")


def test_warmup_and_reach_add_up_along_the_sources() -> None:
    assert (SMA(10).warmup, SMA(10).reach) == (10, 10)
    assert SMA(10).of(RSI(14)).warmup == 24
    assert SMA(3).of(SMA(10)).reach == 10
    assert SMA(5).of(MACD(3, 6, 4)).warmup == 10  # of its first output
    assert SMA(5).of(MACD(3, 6, 4).output("signal")).warmup == 13


def test_compute_with_bars_that_cannot_be_says_so() -> None:
    with pytest.raises(IndicatorError, match="columns of one length"):
        SMA(2).compute({"close": [1.0, 2.0], "high": [1.0]})
    with pytest.raises(IndicatorError, match="not clsoe"):
        SMA(2).compute({"clsoe": [1.0]})
    with pytest.raises(IndicatorError, match="no bars of SPY"):
        SMA(2).of(On("close", "SPY")).compute({"close": [1.0]})
    with pytest.raises(IndicatorError, match="not within the rows that are left"):
        SMA(2).compute({"close": [1.0]}, blocks=[2])
