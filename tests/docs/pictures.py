"""Draws the pictures of docs/indicators.md: `python -m tests.docs.pictures` those that are stale, `--all` all of them.

It needs matplotlib (extra `docs`). The tests do not: see `pictured`.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.docs.pictured import DIRECTORY, KEYWORD, Picture, days_of, left_over, pictures, stale
from tests.support.calendar_oracle import NEW_YORK

WIDTH: Final = 7.2  # inches
DOTS: Final = 100  # per inch
PRICE_HEIGHT: Final = 2.15
SMALL_PRICE_HEIGHT: Final = 1.5  # with panels below
PANEL_HEIGHT: Final = 1.15
LEGEND_HEIGHT: Final = 0.2  # above each panel
TITLE_HEIGHT: Final = 0.26
FOOT_HEIGHT: Final = 0.24

# Colours that people with any sort of colour vision can tell apart: M. Okabe and K. Ito, Color Universal Design, 2008.
BLUE, RED, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
CYCLE: Final = (BLUE, RED, GREEN, PINK)
UP, DOWN, WICK, FAINT, WORDS = "#ffffff", "#909090", "#808080", "#bdbdbd", "#404040"

# Lines by indicator and output, or by output alone: colour and dashes.
LINES: Final[Mapping[str, tuple[str, str]]] = {
    "upper": (BLUE, "-"),
    "lower": (BLUE, "-"),
    "middle": (RED, "-"),
    "histogram": (FAINT, "bars"),
    "PivotPoints.pivot": (BLUE, "-"),
    "PivotPoints.r1": (RED, "-"),
    "PivotPoints.r2": (RED, "--"),
    "PivotPoints.r3": (RED, ":"),
    "PivotPoints.s1": (GREEN, "-"),
    "PivotPoints.s2": (GREEN, "--"),
    "PivotPoints.s3": (GREEN, ":"),
    "PreviousSession.high": (BLUE, "-"),
    "PreviousSession.low": (GREEN, "-"),
    "PreviousSession.close": (RED, "-"),
    "PreviousSession.open": (PINK, "--"),
    "OpeningRange.high": (BLUE, "-"),
    "OpeningRange.low": (GREEN, "-"),
    "OpeningRange.middle": (RED, "--"),
    "ParabolicSAR.value": (BLUE, "dots"),
    "ADX.dx": (FAINT, "-"),
}
# What is usually looked at: overbought and oversold.
LEVELS: Final[Mapping[str, tuple[float, ...]]] = {
    "RSI": (30.0, 70.0),
    "MFI": (20.0, 80.0),
    "CCI": (-100.0, 100.0),
    "WilliamsR": (-80.0, -20.0),
    **dict.fromkeys(("FastStochastic", "Stochastic", "StochasticRSI"), (20.0, 80.0)),
}
# Begun anew with each session: not drawn from one into the next.
BY_SESSION: Final = ("PivotPoints", "PreviousSession", "OpeningRange", "VWAP", "CumulativeVolume", "RealisedVariance", "BarCount")


def main() -> None:
    """Draw what is stale, and remove what is left over."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.pictures", description=main.__doc__)
    parser.add_argument("--all", action="store_true", help="draw all of them")
    DIRECTORY.mkdir(exist_ok=True)
    for path in left_over():
        path.unlink()
        print(f"removed {path.name}")
    for picture in pictures() if parser.parse_args().all else stale():
        picture.file.write_bytes(draw(picture))
        print(f"{picture.file.name}: {picture.file.stat().st_size:,} bytes")


def draw(picture: Picture) -> bytes:
    """A picture as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    below = len(picture.panels) - 1
    talls = [SMALL_PRICE_HEIGHT if below else PRICE_HEIGHT, *[PANEL_HEIGHT] * below]
    legends = [LEGEND_HEIGHT if outputs else 0.05 for outputs in picture.panels]
    height = TITLE_HEIGHT + FOOT_HEIGHT + sum(talls) + sum(legends)
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS, facecolor="white")
    top = height - TITLE_HEIGHT
    for number, outputs in enumerate(picture.panels):
        tall = talls[number]
        top -= legends[number] + tall
        axes = figure.add_axes((0.085, top / height, 0.905, tall / height))
        _frame(axes, picture, outputs, last=number == below)
        if number == 0:
            _draw_bars(axes, picture.bars)
        _draw_lines(axes, picture, outputs)
        if number:
            _draw_levels(axes, picture.spec.name)
    words: dict[str, Any] = {"fontsize": 9, "va": "top", "color": WORDS}
    figure.text(0.085, 1 - 0.05 / height, _title(picture), fontweight="bold", **words)
    figure.text(0.99, 1 - 0.05 / height, f"{picture.caption}, {_dates(picture)}", ha="right", **words)
    return _as_png(figure, picture.digest)


def _title(picture: Picture) -> str:
    spec = picture.spec
    return "AnchoredVWAP(2013-10-09 12:40)" if spec.name == "AnchoredVWAP" else spec.label


def _dates(picture: Picture) -> str:
    days = [date.fromisoformat(day) for day in dict.fromkeys(days_of(picture.bars["open_time"]))]
    return f"{' and '.join(str(day.day) for day in days)} {days[-1]:%b %Y}, New York"


def _frame(axes: Any, picture: Picture, outputs: tuple[str, ...], *, last: bool) -> None:
    """Axes without a box; bars follow each other, so nights have no width."""
    import pandas as pd
    from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, ScalarFormatter

    stamps = pd.to_datetime(picture.bars["open_time"], utc=True).tz_convert(NEW_YORK)
    days = days_of(picture.bars["open_time"])
    rows = len(days)
    axes.use_sticky_edges = False
    axes.set_xlim(-1, rows)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=WORDS, pad=3)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    largest = max(np.nanmax(np.abs(picture.values[name])) for name in outputs) if outputs else 1.0
    if largest >= 10_000:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    elif largest < 1e-3:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, at: f"{value:g}"))
    else:
        axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.grid(axis="y", color="#ededed", linewidth=0.7)
    axes.set_axisbelow(True)
    for row in range(1, rows):
        if days[row] != days[row - 1]:
            axes.axvline(row - 0.5, color="#8c8c8c", linewidth=0.8, linestyle=(0, (2, 2)))
    step = 1 if rows <= 60 else 2
    hours = [row for row, stamp in enumerate(stamps) if stamp.minute == 0 and stamp.hour % step == 0]
    axes.set_xticks(hours, [f"{stamps[row]:%H:%M}" for row in hours] if last else [""] * len(hours))


def _draw_bars(axes: Any, bars: Mapping[str, NDArray[Any]]) -> None:
    """Candles: hollow ones rise."""
    at = np.arange(len(bars["close"]))
    top, bottom = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
    axes.vlines(at, bars["low"], bottom, color=WICK, linewidth=0.7)
    axes.vlines(at, top, bars["high"], color=WICK, linewidth=0.7)
    colours = np.where(bars["close"] >= bars["open"], UP, DOWN)
    axes.bar(at, np.maximum(top - bottom, 0.003), 0.66, bottom, color=colours, edgecolor=WICK, linewidth=0.6)


def _draw_lines(axes: Any, picture: Picture, outputs: tuple[str, ...]) -> None:
    spec = picture.spec
    at = np.arange(len(picture.bars["close"]))
    days = np.array(days_of(picture.bars["open_time"]))
    if {"upper", "lower"} <= set(outputs):
        axes.fill_between(at, picture.values["lower"], picture.values["upper"], color=BLUE, alpha=0.07, linewidth=0)
    if spec.name == "SuperTrend":
        _draw_by_direction(axes, at, picture.values)
        outputs = ()
    for number, output in enumerate(outputs):
        values = picture.values[output]
        colour, dashes = LINES.get(f"{spec.name}.{output}") or LINES.get(output) or (CYCLE[number % len(CYCLE)], "-")
        label = spec.name if output in ("value", "line") else output
        if dashes == "bars":
            axes.bar(at, values, 0.8, color=colour, label=label, zorder=1)
        elif dashes == "dots":
            axes.plot(at, values, ".", color=colour, markersize=3, label=label)
        else:
            for piece in _pieces(days) if spec.name in BY_SESSION else [slice(None)]:
                axes.plot(at[piece], values[piece], color=colour, linestyle=dashes, linewidth=1.3, label=label, zorder=3)
                label = "_"  # in the legend once
    if outputs or spec.name == "SuperTrend":
        axes.legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=8, frameon=False, fontsize=8, labelcolor=WORDS,
            borderaxespad=0.15, borderpad=0, handlelength=1.6, handletextpad=0.5, columnspacing=1.4,
        )  # fmt: skip


def _pieces(days: NDArray[Any]) -> list[slice]:
    """Rows of each day."""
    begins = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist(), len(days)]
    return [slice(start, stop) for start, stop in pairwise(begins)]


def _draw_by_direction(axes: Any, at: NDArray[Any], values: Mapping[str, NDArray[np.float64]]) -> None:
    """SuperTrend's line, by its direction."""
    for direction, colour in ((1.0, GREEN), (-1.0, RED)):
        line = np.where(values["direction"] == direction, values["line"], np.nan)
        axes.plot(at, line, color=colour, linewidth=1.3, label=f"SuperTrend, direction {direction:g}", zorder=3)


def _draw_levels(axes: Any, name: str) -> None:
    low, high = axes.get_ylim()
    for level in LEVELS.get(name, ()):
        axes.axhline(level, color="#8c8c8c", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    if low < 0.0 < high:
        axes.axhline(0.0, color="#8c8c8c", linewidth=0.8, zorder=1)


def _as_png(figure: Any, digest: str) -> bytes:
    """With few colours: a third of the bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image, PngImagePlugin

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    small = image.quantize(palette=palette, dither=Image.Dither.NONE)
    info = PngImagePlugin.PngInfo()
    info.add_text(KEYWORD, digest)
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True, pnginfo=info)
    return out.getvalue()


def _palette() -> list[int]:
    """The colours of lines, and their shades where edges are smoothed; greys; the fill of a band."""
    from matplotlib.colors import to_rgb

    base = [np.array(to_rgb(colour)) for colour in (BLUE, RED, GREEN, PINK)]
    shades = [1 - share * (1 - colour) for colour in base for share in (1.0, 0.75, 0.5, 0.25)]
    greys = [np.full(3, level) for level in np.linspace(0.2, 1.0, 14)]
    fill = [1 - 0.07 * (1 - base[0])]
    return [round(255 * part) for colour in (*shades, *greys, *fill) for part in colour]


if __name__ == "__main__":
    main()
