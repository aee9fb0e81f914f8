from __future__ import annotations

import pytest

from stratd.model import Instrument, Interval, Stream


@pytest.mark.parametrize("tick", [0.0, -0.01, float("nan")])
def test_instrument_tick_that_is_no_step_is_refused(tick: float) -> None:
    with pytest.raises(ValueError, match="AAA: tick must be above zero"):
        Instrument("AAA", tick=tick)


@pytest.mark.parametrize("lot", [0.0, -1.0, float("nan")])
def test_instrument_lot_that_is_no_step_is_refused(lot: float) -> None:
    with pytest.raises(ValueError, match="AAA: lot must be above zero"):
        Instrument("AAA", lot=lot)


def test_instrument_of_a_symbol_alone_trades_around_the_clock() -> None:
    found = Instrument("BTC/USD")
    assert (found.tick, found.calendar, found.extended_hours, found.sends_empty_minutes) == (None, "24/7", False, False)


def test_stream_prints_as_people_say_it() -> None:
    assert str(Stream("BTC/USD", Interval("60m"))) == "BTC/USD 1h"
