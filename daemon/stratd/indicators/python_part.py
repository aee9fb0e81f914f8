"""PythonPart: a part that is computed by a library's function on arrays, not by an operation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stratd.indicators.base import Primitive, StreamInfo


class PythonPart(Primitive):
    """An indicator that calls somebody else's compiled function on arrays. It runs where its columns are computed.

    The contract of operations holds for it too: every row once, in order, the same bits for any division into blocks.
    """

    __slots__ = ()

    @abstractmethod
    def run(
        self,
        inputs: Sequence[NDArray[np.float64]],
        outputs: Sequence[NDArray[np.float64]],
        start: int,
        stop: int,
        first: int,
        number: int,
        state: NDArray[np.float64],
    ) -> None:
        """Compute rows `start` to `stop - 1`.

        Args:
            inputs, outputs: columns; rows are positions in them.
            first: position of the first row that may be looked at.
            number: how many rows there were before `start`, those included that are not held any more.
            state: what is carried from row to row.
        """

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()
