"""What indicators of one field over the last `period` rows have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stratd.indicators.base import Indicator, check_period, check_source, label_of


@dataclass(frozen=True, slots=True)
class OneField(Indicator):
    """An indicator with a period and one field.

    Attributes:
        period: number of bars.
        source: the field it is computed from: open, high, low, close or volume.
    """

    name: ClassVar[str]
    least_period: ClassVar[int] = 1
    usual_source: ClassVar[str] = "close"

    period: int
    source: str = "close"

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", check_period(self.period, self.least_period))
        check_source(self.source)

    @property
    def warmup(self) -> int:
        return self.period

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def label(self) -> str:
        return label_of(self.name, self.period, self.source, self.usual_source)
