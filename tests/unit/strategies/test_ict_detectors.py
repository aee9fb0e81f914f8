"""The detectors of ict_smc on bars made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.examples import loaded


@pytest.fixture(scope="module")
def ict() -> Iterator[Any]:
    from importlib import import_module

    with loaded("ict_smc", "ict_for_detectors"):
        yield import_module("ict_for_detectors.detectors")


def gaps(ict: Any, bars: list[tuple[float, float]], min_fraction: float = 0.0, max_untouched: int = 10) -> list[Any]:
    """Feeds (high, low) bars closing at 1, 2, ...; gives (formed, entered, untouched) per bar."""
    detector = ict.GapDetector(min_fraction, max_untouched)
    told = []
    for at, (high, low) in enumerate(bars, start=1):
        detector.update(high, low, at)
        told.append((detector.formed, detector.entered, detector.untouched))
    return told


def test_gap_bullish_is_formed_at_the_third_bar_between_first_high_and_third_low(ict: Any) -> None:
    told = gaps(ict, [(10, 9), (12, 10), (13, 11)])
    gap = ict.Gap(True, 10, 11, 3)
    assert [formed for formed, _, _ in told] == [None, None, gap]
    assert told[2] == (gap, (), (gap,))


def test_gap_bearish_is_formed_at_the_third_bar_between_third_high_and_first_low(ict: Any) -> None:
    assert gaps(ict, [(13, 11), (11, 9), (10, 8)])[2][0] == ict.Gap(False, 10, 11, 3)


def test_gap_whose_edges_meet_is_none(ict: Any) -> None:
    assert gaps(ict, [(10, 9), (12, 10), (13, 10)])[2][0] is None
    assert gaps(ict, [(13, 11), (12, 9), (11, 8)])[2][0] is None


@pytest.mark.parametrize(("min_fraction", "there"), [(0.1, True), (0.11, False)])
def test_gap_smaller_than_the_fraction_of_its_lower_edge_is_passed_over(ict: Any, min_fraction: float, there: bool) -> None:
    assert (gaps(ict, [(10, 9), (12, 10), (13, 11)], min_fraction)[2][0] is not None) is there


def test_gap_is_entered_once_by_the_first_bar_at_its_near_edge(ict: Any) -> None:
    told = gaps(ict, [(10, 9), (12, 10), (13, 11), (13.5, 11.5), (13, 11), (12, 10.5)])
    gap = ict.Gap(True, 10, 11, 3)
    assert [entered for _, entered, _ in told] == [(), (), (), (), (gap,), ()]
    assert gap in told[3][2]
    assert gap not in told[4][2]


def test_gap_bearish_is_entered_from_below(ict: Any) -> None:
    told = gaps(ict, [(13, 11), (11, 9), (10, 8), (9.9, 8), (10, 9)])
    assert [len(entered) for _, entered, _ in told] == [0, 0, 0, 0, 1]


def test_gaps_beyond_the_most_forget_the_oldest(ict: Any) -> None:
    told = gaps(ict, [(10, 9), (12, 11), (14, 13), (16, 15), (18, 17)], max_untouched=2)
    assert [gap.made_at for gap in told[-1][2]] == [4, 5]


def events(ict: Any, bars: list[tuple[float, float, float]], swing: int = 1) -> tuple[list[str], Any]:
    detector = ict.StructureDetector(swing)
    return [detector.update(*bar).value for bar in bars], detector


# high, low, close. Swing high 12 at bar 1 (known at bar 2), swing low 8 at bar 3 (known at bar 4).
WAVE = [(10, 9, 9.5), (12, 10, 11), (11, 9, 9.5), (10, 8, 8.5), (11, 9, 10.5)]


def test_structure_knows_a_swing_only_when_the_bars_after_it_are_there(ict: Any) -> None:
    assert events(ict, WAVE[:2])[1].swing_high is None
    assert events(ict, WAVE[:3])[1].swing_high == 12
    assert events(ict, WAVE[:4])[1].swing_low is None
    assert events(ict, WAVE)[1].swing_low == 8


def test_structure_break_of_swing_high_is_bos_at_the_bar_that_closes_above(ict: Any) -> None:
    # Bar 5 reaches above 12 and closes below: no break. Bar 6 closes above.
    told, detector = events(ict, [*WAVE, (12.5, 10, 11.5), (13, 11, 12.5)])
    assert told == ["none"] * 6 + ["bos_up"]
    assert detector.trend == 1


def test_structure_broken_swing_is_used_up(ict: Any) -> None:
    told, _ = events(ict, [*WAVE, (13, 10, 12.5), (14, 11, 13.5), (15, 12, 14.5)])
    assert told == ["none"] * 5 + ["bos_up", "none", "none"]


def test_structure_break_against_the_trend_is_change_of_character(ict: Any) -> None:
    told, detector = events(ict, [*WAVE, (13, 10, 12.5), (12, 7, 7.5)])
    assert told[-2:] == ["bos_up", "choch_down"]
    assert detector.trend == -1


def test_structure_break_of_swing_low_without_trend_is_bos_down_and_up_again_is_choch_up(ict: Any) -> None:
    told, _ = events(ict, [*WAVE, (11, 7, 7.5), (13, 7, 12.5)])
    assert told == ["none"] * 5 + ["bos_down", "choch_up"]


def test_structure_second_break_the_same_way_is_bos_again(ict: Any) -> None:
    # After the break: swing high 14 at bar 6, known at bar 7, broken at bar 8.
    told, _ = events(ict, [*WAVE, (13, 10, 12.5), (14, 12, 13), (13, 11, 12), (15, 12, 14.5)])
    assert told == ["none"] * 5 + ["bos_up", "none", "none", "bos_up"]


def test_structure_plateau_is_one_swing_at_its_first_bar(ict: Any) -> None:
    assert events(ict, [(10, 9, 9), (12, 9, 10), (12, 9, 10)])[1].swing_high == 12
    # The second bar of the plateau is none: its high is not above the one before.
    assert events(ict, [(12, 9, 9), (12, 9, 10), (11, 9, 10)])[1].swing_high is None


def test_structure_with_wider_swing_wants_more_bars_on_each_side(ict: Any) -> None:
    assert events(ict, WAVE, swing=2)[1].swing_high is None
    assert events(ict, [(9, 8, 8.5), *WAVE], swing=2)[1].swing_high == 12
