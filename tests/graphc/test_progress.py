"""The progress display: what it prints, when it draws, and that it leaves the terminal as it was."""

import io
import re

import pytest
from rich.console import Console

from graphc import progress
from graphc.ir.errors import ArgumentError
from graphc.progress import BarDisplay, Display, LineDisplay, show_progress


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal():
    """A console that thinks it is a terminal, 100 columns wide."""
    return Console(
        file=io.StringIO(), force_terminal=True, width=100, color_system=None, legacy_windows=False
    )


def test_line_per_epoch(clock, capsys):
    display = LineDisplay(epochs=2, clock=clock)
    with display:
        for epoch in range(2):
            display.begin_epoch(epoch, 4)
            for done in range(1, 5):
                clock.now += 0.25
                display.advance(done, dict)
            display.end_epoch({"loss": 1.5 - epoch, "accuracy": 0.0001})
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1/2 - 4/4 - 1s - 250ms/step - loss: 1.5000 - accuracy: 1.0000e-04",
        "Epoch 2/2 - 4/4 - 1s - 250ms/step - loss: 0.5000 - accuracy: 1.0000e-04",
    ]


def test_line_outside_of_fit_with_unknown_steps(clock, capsys):
    display = LineDisplay(clock=clock)
    display.begin_epoch(0, None)
    display.advance(7, dict)
    display.end_epoch({"loss": 2.0})
    display.begin_epoch(0, None)
    display.end_epoch({})
    assert capsys.readouterr().out == "7/7 - 0s - 0us/step - loss: 2.0000\n0/0 - 0s\n"


def test_bar_draws_at_most_ten_times_a_second(clock, terminal):
    reads = []

    def read():
        reads.append(clock.now)
        return {"loss": 3.0}

    display = BarDisplay(1, clock, terminal)
    with display:
        display.begin_epoch(0, 1000)
        for done in range(1, 1001):
            clock.now += 0.001
            display.advance(done, read)
        drawn = terminal.file.getvalue()
        display.end_epoch({"loss": 2.0})
    assert 9 <= len(reads) <= 10
    assert "Epoch 1/1" in drawn
    assert "loss: 3.0000" in drawn
    assert "1ms/step" in drawn
    assert terminal.file.getvalue().endswith("Epoch 1/1 - 1000/1000 - 1s - 1ms/step - loss: 2.0000\n")


def test_slow_drawings_are_made_less_often(clock, terminal):
    reads = []

    def read():
        clock.now += 0.01
        reads.append(clock.now)
        return {}

    with BarDisplay(1, clock, terminal) as display:
        display.begin_epoch(0, None)
        for done in range(1, 5001):
            clock.now += 0.001
            display.advance(done, read)
    assert len(reads) == 5, "one drawing of 10 ms in each second"


def test_bar_tells_the_time_that_is_left(clock, terminal):
    with BarDisplay(2, clock, terminal) as display:
        display.begin_epoch(0, 10)
        clock.now += 60
        display.advance(2, dict)
    assert "4:00 left - 30s/step" in terminal.file.getvalue()


def test_bar_with_unknown_steps_shows_no_time_left(clock, terminal):
    with BarDisplay(2, clock, terminal) as display:
        display.begin_epoch(0, None)
        clock.now += 1
        display.advance(5, lambda: {"loss": float("nan")})
    assert "5/?" in terminal.file.getvalue()
    assert "left" not in terminal.file.getvalue()
    assert "loss: nan" in terminal.file.getvalue()


def test_names_with_brackets_are_no_markup(clock, terminal):
    with BarDisplay(1, clock, terminal) as display:
        display.begin_epoch(0, 1)
        clock.now += 1
        display.advance(1, lambda: {"auc[bold]": 1.0})
        display.end_epoch({"auc[bold]": 1.0})
    assert terminal.file.getvalue().count("auc[bold]") >= 2


def test_long_metrics_are_cut_and_leave_the_count_whole(clock, terminal):
    with BarDisplay(1, clock, terminal) as display:
        display.begin_epoch(0, 12345)
        clock.now += 1
        display.advance(678, lambda: {f"metric_{i}": 1.0 for i in range(20)})
    lines = re.split(r"\x1b\[[?0-9]+[a-zA-Z]|[\r\n]", terminal.file.getvalue())
    drawn = [line for line in lines if "metric_0: 1.0000" in line]
    assert drawn
    assert all("678/12345" in line and len(line.rstrip()) <= 100 for line in drawn)


def test_the_terminal_is_left_as_it_was_after_an_interruption(clock, terminal):
    def interrupted():
        with BarDisplay(1, clock, terminal) as display:
            display.begin_epoch(0, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    text = terminal.file.getvalue()
    assert text.count(hidden) == text.count(shown) == 1
    assert text.rindex(shown) > text.rindex(hidden)


def test_the_kind_of_display_follows_verbose_and_the_terminal(monkeypatch):
    def kinds(terminal):
        monkeypatch.setattr(
            progress.sys, "stdout", type("Out", (io.StringIO,), {"isatty": lambda _: terminal})()
        )
        return [type(show_progress(verbose, 3)) for verbose in (0, 1, 2, "auto")]

    assert kinds(False) == [Display, LineDisplay, LineDisplay, LineDisplay]
    assert kinds(True) == [Display, BarDisplay, LineDisplay, BarDisplay]


def test_silence(capsys):
    with show_progress(0, 3) as display:
        display.begin_epoch(0, 3)
        display.advance(1, dict)
        display.end_epoch({"loss": 1.0})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_wrong_verbose(verbose):
    with pytest.raises(ArgumentError, match="verbose should be 'auto', 0, 1 or 2, not "):
        show_progress(verbose)
