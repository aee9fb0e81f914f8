from __future__ import annotations

import numpy as np
import pytest

from stratd.execution.account_journal import Past, pack_state
from stratd.portfolio import cells as c
from stratd.system.restart_plan import open_symbols

OPEN = (c.HELD, c.WAITING, c.WORKING, c.PARTIAL)
OVER = (c.FILLED, c.CANCELLED, c.EXPIRED, c.REJECTED, c.REFUSED_BY_BOOK)


def past(states: tuple[int, ...], lots: tuple[int, ...] = (0, 0)) -> Past:
    """A checkpoint with orders for symbol 7 and positions in symbols 3 and 7."""
    cells = np.zeros(c.C_CELLS, np.int64)
    orders = np.zeros((len(states), c.O_COLUMNS), np.int64)
    orders[:, c.O_STATE], orders[:, c.O_PLACE] = states, 1
    positions = np.zeros((2, c.P_COLUMNS), np.int64)
    positions[:, c.P_SYMBOL], positions[:, c.P_LOTS] = (3, 7), lots
    floats = np.zeros((len(states), c.O_FLOATS)), np.zeros((2, c.P_FLOATS))
    held, untold = np.zeros((0, c.L_COLUMNS), np.int64), np.zeros((0, c.R_COLUMNS), np.int64)
    return Past(time=1, state=pack_state({"strategy": {}}, [cells, orders, floats[0], positions, floats[1], held, untold]))


@pytest.mark.parametrize("state", OPEN)
def test_open_symbols_of_an_order_that_works_are_its_own(state: int) -> None:
    assert open_symbols(past((state,))) == {7}


@pytest.mark.parametrize("state", [*OVER, c.CHANGING])
def test_open_symbols_of_an_order_that_has_ended_or_of_an_amendment_are_none(state: int) -> None:
    assert open_symbols(past((state,))) == set()


def test_open_symbols_of_positions_are_theirs_and_none_without_a_checkpoint() -> None:
    assert open_symbols(past((), (-5, 0))) == {3}
    assert open_symbols(past((c.WORKING, c.CANCELLED), (1, 1))) == {3, 7}
    assert open_symbols(Past()) == set()
