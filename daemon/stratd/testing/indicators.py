"""IndicatorContract: what every indicator must do, whether it is ours or yours."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from stratd.indicators.base import FIELDS, Indicator
from stratd.indicators.computation import Computation, compute
from stratd.indicators.user import PythonIndicator
from stratd.model.interval import MINUTE_NS

BarArrays = dict[str, NDArray[Any]]
_FIRST_OPEN_NS: Final = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC
_BAD: Final = (np.nan, np.inf, -np.inf)


def made_up_bars(rows: int, seed: int = 1) -> BarArrays:
    """One-minute bars around 30 in whole cents. In their second half some have no range, and some no volume.

    Returns:
        float64[rows] of each field, and int64[rows] of `open_time` and `close_time` (ns UTC).
    """
    random = np.random.default_rng(seed)
    close = np.round(30 * np.exp(np.cumsum(random.normal(0, 2e-3, rows))), 2)
    open_ = np.concatenate([[30.0], close[:-1]])
    high = np.round(np.maximum(open_, close) + 0.01 * random.integers(1, 5, rows), 2)
    low = np.round(np.minimum(open_, close) - 0.01 * random.integers(1, 5, rows), 2)
    volume = random.integers(1, 900, rows).astype(np.float64)
    later = np.arange(rows) > rows // 2
    flat = later & (random.random(rows) < 0.05)
    for column in (open_, high, low):
        column[flat] = close[flat]
    volume[later & (random.random(rows) < 0.03)] = 0.0
    times = _FIRST_OPEN_NS + MINUTE_NS * np.arange(rows, dtype=np.int64)
    return {
        **dict(zip(FIELDS, (open_, high, low, close, volume), strict=True)), "open_time": times, "close_time": times + MINUTE_NS,
    }  # fmt: skip


class IndicatorContract:
    """Run it on your indicator: subclass it in a test module, and say which.

        class TestMyRange(IndicatorContract):
            indicator = my_range(period=10)

            def reference(self, bars):
                return pd.Series(bars["high"] - bars["low"]).rolling(10).mean()

    Indicators that computing compiles (the catalogue, `compiled_indicator`), TA-Lib's and those in plain Python are all welcome.

    Attributes:
        indicator: yours.
        tick: of the instrument; None for one without.
        tolerance: largest relative difference from the reference.
        late_rows: how many rows after its warm-up the first value may come on these bars, for what has no value at most rows.
    """

    indicator: ClassVar[Indicator]
    tick: ClassVar[float | None] = 0.01
    tolerance: ClassVar[float] = 1e-9
    late_rows: ClassVar[int] = 0

    def __init_subclass__(cls, **options: Any) -> None:
        """What does not apply to a subclass is no test of it: there is nothing to skip."""
        super().__init_subclass__(**options)
        absent = ["test_values_agree_with_the_reference"] if cls.reference is IndicatorContract.reference else []
        if isinstance(getattr(cls, "indicator", None), PythonIndicator):  # what plain Python carries cannot be saved
            absent += ["test_resume_from_saved_state_gives_the_same_bits", "test_reach_names_how_far_back_rows_are_needed"]
        for name in absent:
            setattr(cls, name, None)

    def bars(self) -> BarArrays:
        """Bars to compute on: fields, `open_time` and `close_time`. Yours need to be longer than twice the warm-up and the reach."""
        spec = self.indicator
        return made_up_bars(max(1_500, 6 * spec.warmup, 2 * spec.reach + 500))

    def reference(self, bars: Mapping[str, NDArray[Any]]) -> Mapping[str, ArrayLike] | ArrayLike | None:
        """What the values should be, computed in another way: an array, or one for each output. None: there is nothing to compare with."""
        return None

    def test_outputs_are_columns_as_long_as_the_bars(self) -> None:
        spec, bars = self.indicator, self.bars()
        assert spec.outputs
        assert len(set(spec.outputs)) == len(spec.outputs)
        assert all(name.isidentifier() for name in spec.outputs)
        found = self._compute(bars)
        assert tuple(found) == spec.outputs
        assert all(column.shape == (len(bars["close"]),) and column.dtype == np.float64 for column in found.values())

    def test_label_and_equality(self) -> None:
        spec = self.indicator
        assert spec.label
        assert "\n" not in spec.label
        assert str(spec) == spec.label
        if isinstance(spec, PythonIndicator):
            assert spec.new_instance() is not spec
            return
        other = copy.deepcopy(spec)
        assert other == spec, "an equal specification is not equal, so that its column is not shared"
        assert hash(other) == hash(spec)

    def test_compute_twice_gives_the_same_bits(self) -> None:
        bars = self.bars()
        _assert_same_bits(self._compute(bars), self._compute(bars), "the second time")

    def test_warmup_names_the_first_row_with_a_value(self) -> None:
        spec = self.indicator
        firsts = {name: _first_value(column) for name, column in self._compute(self.bars()).items()}
        assert max(firsts.values()) + 1 >= spec.warmup, (
            f"{spec.label} has values sooner than its warm-up of {spec.warmup}: {firsts}"
        )
        assert max(firsts.values()) + 1 <= spec.warmup + self.late_rows, (
            f"{spec.label} has its first value (rows from 0: {firsts}) later than its warm-up of {spec.warmup}"
        )

    @pytest.mark.parametrize("bad", [False, True], ids=["clean", "bad rows"])
    def test_any_blocks_give_the_same_bits(self, bad: bool) -> None:
        spec = self.indicator
        bars = self.bars()
        rows = min(len(bars["close"]), max(400, 2 * spec.warmup, spec.reach + 300))
        bars = {name: column[:rows] for name, column in (with_bad_rows(bars, rows) if bad else bars).items()}
        whole = self._compute(bars)
        _assert_same_bits(whole, self._compute(bars, range(1, rows)), "row by row")

        @settings(max_examples=12, deadline=None, database=None)
        @given(st.lists(st.integers(0, rows), max_size=30).map(sorted))
        def check(stops: list[int]) -> None:
            _assert_same_bits(whole, self._compute(bars, stops), f"in blocks that end at {stops}")

        check()

    def test_resume_from_saved_state_gives_the_same_bits(self) -> None:
        bars = with_bad_rows(self.bars())
        whole, rows = self._compute(bars), len(bars["close"])
        for stop in (0, 1, self.indicator.warmup, rows // 3, rows - 1):
            one, two = self._computation(bars), self._computation(bars)
            one.advance(stop)
            two.restore(one.save())
            two.advance(rows)
            _assert_same_bits(whole, two.values, f"resumed at row {stop}")

    def test_reach_names_how_far_back_rows_are_needed(self) -> None:
        bars = self.bars()
        whole, rows = self._compute(bars), len(bars["close"])
        for stop in (rows // 2 + 150, rows - 100):
            gone = stop - self.indicator.reach
            one = self._computation(bars)
            one.advance(stop)
            saved = one.save()
            left = {name: column.copy() for name, column in bars.items()}
            for column in (*(left[name] for name in FIELDS), *saved.columns):
                column[: max(0, gone)] = np.nan
            two = self._computation(left)
            two.restore(saved)
            two.advance(rows)
            later = {name: column[stop:] for name, column in two.values.items()}
            message = f"with only the last {self.indicator.reach} rows held at row {stop}"
            _assert_same_bits({name: column[stop:] for name, column in whole.items()}, later, message)

    def test_bad_rows_do_not_linger_and_give_no_infinity(self) -> None:
        bars = self.bars()
        clean, found = self._compute(bars), self._compute(with_bad_rows(bars))
        since = len(bars["close"]) * 6 // 10
        for name, column in found.items():
            assert not np.isinf(column).any(), f"{name} is infinite"
            usual, still = (int(np.isfinite(values[since:]).sum()) for values in (clean[name], column))
            assert still >= 0.8 * usual, (
                f"{name} has {still} values long after NaN and infinity in the bars, without them {usual}"
            )

    @pytest.mark.parametrize("change", ["other values", "no rows", "NaN"])
    def test_future_changes_nothing(self, change: str) -> None:
        bars = self.bars()
        rows = len(bars["close"])
        whole = self._compute(bars)
        for cut in (rows // 4, rows // 2, rows - 1):
            other = {name: column.copy() for name, column in bars.items()}
            for name in FIELDS:
                other[name][cut:] = np.nan if change == "NaN" else 3 * other[name][cut:][::-1] + 1
            if change == "no rows":
                other = {name: column[:cut] for name, column in bars.items()}
            known, found = ({name: column[:cut] for name, column in one.items()} for one in (whole, self._compute(other)))
            _assert_same_bits(known, found, f"with another future from row {cut} on: it looks ahead")

    def test_values_agree_with_the_reference(self) -> None:
        bars = self.bars()
        reference = self.reference(bars)
        assert reference is not None, "reference() gives nothing to compare with: return it, or leave the method out"
        found = self._compute(bars)
        expected = reference if isinstance(reference, Mapping) else {self.indicator.outputs[0]: reference}
        assert expected.keys() <= found.keys()
        for name, values in expected.items():
            theirs, ours = np.asarray(values, np.float64), found[name]
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=f"{name}: rows without a value")
            size = np.nanmax(np.abs(theirs), initial=0.0)
            np.testing.assert_allclose(ours, theirs, rtol=self.tolerance, atol=self.tolerance * 1e-3 * size, err_msg=name)

    def _computation(self, bars: Mapping[str, NDArray[Any]]) -> Computation:
        return Computation(self.indicator, bars, tick=self.tick)

    def _compute(self, bars: Mapping[str, NDArray[Any]], blocks: Sequence[int] = ()) -> dict[str, NDArray[np.float64]]:
        return compute(self.indicator, bars, tick=self.tick, blocks=blocks)


def with_bad_rows(bars: Mapping[str, NDArray[Any]], rows: int | None = None) -> BarArrays:
    """Bars with NaN and infinity in a few rows of the first fifth (of the first `rows`)."""
    made = {name: column.copy() for name, column in bars.items()}
    random = np.random.default_rng(3)
    for value in _BAD:
        for row in random.integers(0, max(1, (rows or len(made["close"])) // 5), 3):
            for name in FIELDS:
                made[name][row] = value
    return made


def _first_value(column: NDArray[np.float64]) -> int:
    has = np.flatnonzero(~np.isnan(column))
    return int(has[0]) if len(has) else len(column)


def _assert_same_bits(one: Mapping[str, NDArray[np.float64]], other: Mapping[str, NDArray[np.float64]], when: str) -> None:
    for name, expected in one.items():
        found = other[name]
        # A NaN has many bit patterns, which mean the same.
        same = (expected.view(np.int64) == found.view(np.int64)) | (np.isnan(expected) & np.isnan(found))
        if not same.all():
            row = int(np.argmin(same))
            raise AssertionError(f"{name} is {found[row]!r} at row {row} {when}, not {expected[row]!r}")
