"""TradingContextProvider: what the workers of one strategy share while one tick is processed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from stratd.errors import MissingDTO, WorkforceError
from stratd.model.dto import BaseContext

_BEFORE_ALL_TIME: Final = -(2**63)
_NO_PRODUCERS: Final[Mapping[type, str]] = {}


class DeclaresDtos(Protocol):
    """What a provider has to know of a worker."""

    @property
    def name(self) -> str: ...

    @property
    def requires(self) -> tuple[type, ...]: ...

    @property
    def produces(self) -> tuple[type, ...]: ...


class ITradingContextProvider(Protocol):
    """The DTOs of the current tick, by asset and by DTO type. Where `asset` is None, the tick's first asset is meant."""

    def start_new_tick(self, timestamp: int, current_price: float, asset: str) -> None:
        """Begin a tick at `timestamp` (int64 ns UTC), or join `asset` to the tick of that time."""
        ...

    def get_base_context(self, asset: str | None = None) -> BaseContext:
        """Time, price and symbol."""
        ...

    def get_required_dtos(
        self, requesting_worker: DeclaresDtos, dto_types: Iterable[type] | None = None, asset: str | None = None
    ) -> dict[type, Any]:
        """The DTOs of these types; of None: of those that the worker declares it requires."""
        ...

    def set_result_dto(self, worker: DeclaresDtos, dto: object, asset: str | None = None) -> None:
        """Keep what `worker` has made."""
        ...

    def has_dto(self, dto_type: type, asset: str | None = None) -> bool:
        """Whether a DTO of exactly this type is there."""
        ...

    def clear(self) -> None:
        """End the tick: forget its DTOs."""
        ...


class TradingContextProvider:
    """Keeps the DTOs of one tick for the workers of one strategy: asset → DTO type → DTO.

    One instance per strategy, so it needs no strategy id: two strategies that each make a `MarketRegimeDTO` for one asset
    at one time keep them in different objects. A tick is one event time; it holds every asset that had an event then.
    The `BaseContext` of an asset is a DTO like the others, and is there from the start.

    Thread safety: none, and none is needed. The strategy's thread owns the instance and no other may touch it.

    Args:
        producers: who makes which DTO, by name, for error messages. Kept by reference: the workforce may fill it later.
    """

    __slots__ = ("_cache", "_makers", "_primary", "_producers", "_timestamp")

    def __init__(self, producers: Mapping[type, str] = _NO_PRODUCERS) -> None:
        self._timestamp = _BEFORE_ALL_TIME
        self._primary: str | None = None
        self._cache: dict[str, dict[type, Any]] = {}
        # DTO type, its maker, DTO type, its maker, ...: with the few of a tick as quick as a dict, at half the memory.
        self._makers: tuple[Any, ...] = ()
        self._producers = producers

    def start_new_tick(self, timestamp: int, current_price: float, asset: str) -> None:
        """Begin a tick, or join the one of this time.

        A later timestamp clears what was there. At the same timestamp another asset joins the tick; the same asset
        again (a longer interval that closes at the same time) renews its price and keeps its DTOs.

        Args:
            timestamp: close time of the event, int64 ns UTC.
            current_price: the close, in quote currency.

        Raises:
            WorkforceError: the timestamp lies before that of an earlier tick, whether or not it was cleared.
        """
        if timestamp != self._timestamp:
            if timestamp < self._timestamp:
                raise WorkforceError(
                    f"a tick of {asset} at {timestamp} comes after one at {self._timestamp}: event time does not go back; "
                    "is one provider used by two strategies?"
                )
            self.clear()
            self._timestamp = timestamp
        if self._primary is None:
            self._primary = asset
        base = BaseContext(timestamp, current_price, asset)
        held = self._cache.get(asset)
        if held is None:
            self._cache[asset] = {BaseContext: base}
        else:
            held[BaseContext] = base

    def get_base_context(self, asset: str | None = None) -> BaseContext:
        """Time, price and symbol of `asset`.

        Raises:
            WorkforceError: no tick has begun, or the asset is not part of it.
        """
        base: BaseContext = self._held(asset)[BaseContext]
        return base

    def get_required_dtos(
        self, requesting_worker: DeclaresDtos, dto_types: Iterable[type] | None = None, asset: str | None = None
    ) -> dict[type, Any]:
        """The DTOs of `dto_types`, by type, in a new dict.

        Args:
            dto_types: the exact types; None for what the worker declares it requires.

        Raises:
            MissingDTO: one of them has not been set for this asset in this tick.
            WorkforceError: no tick has begun.
        """
        name = self._name(asset)
        held = self._cache.get(name, {})
        found: dict[type, Any] = {}
        for dto_type in requesting_worker.requires if dto_types is None else dto_types:
            if dto_type not in held:
                raise MissingDTO(requesting_worker.name, dto_type.__qualname__, name, self._producers.get(dto_type))
            found[dto_type] = held[dto_type]
        return found

    def set_result_dto(self, worker: DeclaresDtos, dto: object, asset: str | None = None) -> None:
        """Keep `dto` under its exact type until the tick ends. A worker that sets its own again replaces it.

        Raises:
            WorkforceError: the worker does not declare that it produces this type, another worker has set one in this
                tick, no tick has begun, or the asset is not part of it.
        """
        held = self._held(asset)
        dto_type = type(dto)
        maker = self._makers[self._makers.index(dto_type) + 1] if dto_type in self._makers else None
        if maker is not worker:
            if maker is not None:
                raise WorkforceError(
                    f"worker {worker.name} sets {dto_type.__qualname__}, which {maker.name} has set in this tick"
                )
            if dto_type not in worker.produces:
                raise WorkforceError(
                    f"worker {worker.name} sets {dto_type.__qualname__}, which it does not declare: add it to `produces`, "
                    "the order of the workers follows from that"
                )
            self._makers = (*self._makers, dto_type, worker)
        held[dto_type] = dto

    def has_dto(self, dto_type: type, asset: str | None = None) -> bool:
        """Whether a DTO of exactly this type is there. False where there is no tick, or no such asset in it."""
        held = self._cache.get(asset or self._primary or "")
        return held is not None and dto_type in held

    def clear(self) -> None:
        """End the tick: forget its assets and DTOs. Its timestamp stays the earliest that the next may have."""
        self._primary = None
        self._cache.clear()
        self._makers = ()

    def _name(self, asset: str | None) -> str:
        name = asset or self._primary
        if name is None:
            raise WorkforceError("no tick has begun: call start_new_tick first")
        return name

    def _held(self, asset: str | None) -> dict[type, Any]:
        name = self._name(asset)
        held = self._cache.get(name)
        if held is None:
            there = ", ".join(self._cache) or "none"
            raise WorkforceError(f"{name} is not part of the tick at {self._timestamp}, which has: {there}")
        return held
