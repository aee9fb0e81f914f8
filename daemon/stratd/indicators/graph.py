"""What has to be computed for an indicator: its parts, each once, every one after what it is made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeAlias

from stratd.errors import IndicatorError
from stratd.indicators.aligned import Aligned
from stratd.indicators.base import FIELDS, TIMES, Composite, Indicator, On, Output, Primitive, Source, StreamInfo

_DEEPEST: Final = 64
_MOST_KEYS: Final = 1_000  # structures that are remembered although nothing of them is computed

StreamOf: TypeAlias = Callable[[str, str], StreamInfo]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One thing to compute: an operation with its parameters, and what it is computed from.

    Attributes:
        key: the same number for equal parts, whatever indicator asked for them.
        inputs: fields (of FIELDS or TIMES, with their stream), or outputs of other parts.
        streams: every stream that it depends on, its own first.
        other: the stream whose rows an `Aligned` part looks up.
    """

    key: int
    spec: Primitive
    stream: StreamInfo
    inputs: tuple[tuple[StreamInfo, str] | tuple[Part, int], ...]
    streams: tuple[StreamInfo, ...]
    other: StreamInfo | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All parts of an indicator, inputs first, and where its outputs are found."""

    parts: tuple[Part, ...]
    outputs: dict[str, tuple[Part, int]]


class Planner:
    """Takes indicators apart. Equal parts of all indicators that one planner plans are one part.

    Thread safety: belongs to one thread; the hub guards its own with its lock.
    """

    def __init__(self, stream_of: StreamOf) -> None:
        self._stream_of = stream_of
        self._keys: dict[Hashable, int] = {}
        self._last_key = 0

    def plan(self, indicator: Indicator, stream: StreamInfo) -> Plan:
        """The parts of `indicator` on `stream`.

        Raises:
            IndicatorError: it is made from itself, or its parts go too deep.
        """
        found: dict[int, Part] = {}
        outputs = {
            name: _as_part(
                self._resolve(indicator if len(indicator.outputs) == 1 else Output(indicator, name), stream, found, ())
            )
            for name in indicator.outputs
        }
        return Plan(tuple(found.values()), outputs)

    def keep(self, keys: set[int]) -> None:
        """Forget all structures but these. A plan that was made of others stays right, and is shared with nobody new."""
        if len(self._keys) > 2 * len(keys) + _MOST_KEYS:
            self._keys = {structure: key for structure, key in self._keys.items() if key in keys}

    def _resolve(
        self, source: Source, stream: StreamInfo, found: dict[int, Part], path: tuple[tuple[Source, StreamInfo], ...]
    ) -> tuple[StreamInfo, str] | tuple[Part, int]:
        if isinstance(source, str):
            if source not in FIELDS and source not in TIMES:
                raise IndicatorError(f"there is no field {source!r}; write one of {', '.join(FIELDS)}")
            return stream, source
        if any(source == above and stream is at for above, at in path) or len(path) > _DEEPEST:
            chain = " -> ".join(str(part) for part, _ in (*path, (source, stream)))
            raise IndicatorError(f"an indicator is made from itself: {chain[:500]}")
        path = (*path, (source, stream))
        which = ""
        if isinstance(source, Output):
            which, source = source.which, source.indicator
        if isinstance(source, Composite):
            parts = source.parts()
            return self._resolve(parts[which or source.outputs[0]], stream, found, path)
        if isinstance(source, On):
            return self._resolve_other(source, stream, found, path)
        if not isinstance(source, Primitive):
            raise IndicatorError(f"{source.label} cannot be computed from compiled parts, so nothing can be computed from it")
        inputs = tuple(self._resolve(part, stream, found, path) for part in source.inputs_on(stream))
        at = source.outputs.index(which) if which else 0
        return self._part(source, stream, inputs, found), at

    def _resolve_other(
        self, source: On, stream: StreamInfo, found: dict[int, Part], path: tuple[tuple[Source, StreamInfo], ...]
    ) -> tuple[Part, int]:
        other = self._stream_of(source.symbol or stream.symbol, source.interval or str(stream.interval))
        if other is stream:
            raise IndicatorError(f"{source.label} on {stream.symbol} {stream.interval} is the stream itself: leave On(...) out")
        value = self._resolve(source.source, other, found, path)
        before = (other.interval_index, other.symbol_index) < (stream.interval_index, stream.symbol_index)
        inputs = ((stream, "close_time"), (other, "close_time"), value)
        return self._part(Aligned(before), stream, inputs, found, other), 0

    def _part(
        self,
        spec: Primitive,
        stream: StreamInfo,
        inputs: tuple[tuple[StreamInfo, str] | tuple[Part, int], ...],
        found: dict[int, Part],
        other: StreamInfo | None = None,
    ) -> Part:
        own = tuple(
            getattr(spec, field.name)
            for field in dataclasses.fields(spec)  # type: ignore[arg-type]
            if field.name not in spec.source_fields
        )
        sources = tuple(
            (one.key, at) if isinstance(one, Part) else (one.interval_index, one.symbol_index, at) for one, at in inputs
        )
        structure = (type(spec), own, stream.interval_index, stream.symbol_index, sources)
        key = self._keys.get(structure, 0)
        if not key:
            self._last_key += 1
            key = self._keys[structure] = self._last_key
        part = found.get(key)
        if part is None:
            needed = [one.streams if isinstance(one, Part) else (one,) for one, _ in inputs]
            streams = tuple(dict.fromkeys((stream, *(each for some in needed for each in some))))
            part = found[key] = Part(key, spec, stream, inputs, streams, other)
        return part


def _as_part(resolved: tuple[StreamInfo, str] | tuple[Part, int]) -> tuple[Part, int]:
    part, at = resolved
    if isinstance(part, Part) and isinstance(at, int):
        return part, at
    raise IndicatorError(f"{at} is a field, not an indicator: read it from ctx.bars(symbol, interval).{at}")
