from __future__ import annotations

import io
import json
import sys

import pytest

from stratd.cli.output import ProgressDisplay, count_text, span_text, time_text, write_json
from stratd.system.result import Progress

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0ns"), (8.5e-7, "850ns"), (1.234e-5, "12.3µs"), (0.00456, "4.56ms"), (0.9999e-3, "1ms"), (0.99996, "1s"),
        (1.2, "1.2s"), (59.6, "59.6s"), (60, "1:00min"), (185.4, "3:05min"), (float("nan"), "-"),
    ],
)  # fmt: skip
def test_span_text_picks_the_unit_that_suits(seconds: float, expected: str) -> None:
    assert span_text(seconds) == expected


def test_numbers_and_times_read_well() -> None:
    assert count_text(1_234_567) == "1,234,567"
    assert time_text(1_381_152_600_000_000_000) == "2013-10-07 13:30Z"
    assert time_text(1_381_152_601_500_000_000) == "2013-10-07 13:30:01Z"


def test_write_json_without_json_s_missing_numbers(capsys: Capture) -> None:
    write_json({"a": [float("nan"), float("inf"), 1.5, (2,)], "µ": None})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [None, None, 1.5, [2]], "µ": None}
    assert "µ" in out


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: Capture) -> None:
    with ProgressDisplay() as display:
        for elapsed in (0.1, 5.0, 7.0, 10.0):
            display.show(Progress(None, 10, 0, elapsed))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "playing  1970-01-01 00:00Z  10 bars  5s\nplaying  1970-01-01 00:00Z  10 bars  10s\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with ProgressDisplay() as display:
        display.show(Progress(None, 10, 0, 0.1))
        display.show(Progress(0.25, 1000, 1_381_152_600_000_000_000, 6.0))
        display._bar.refresh()
    assert "25%" in terminal.getvalue()
    assert "1,000 bars" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_progress_when_quiet_is_nothing(capsys: Capture) -> None:
    with ProgressDisplay(quiet=True) as display:
        display.show(Progress(0.5, 10, 0, 100.0))
    assert capsys.readouterr() == ("", "")
