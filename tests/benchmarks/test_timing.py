"""Two things measured in turn, and what is made of the measurements."""

from __future__ import annotations

import time

import pytest

from benchmarks.timing import Ratios, alternate, summary


def test_the_ratio_of_two_sleeps() -> None:
    found = alternate(lambda: time.sleep(0.02), lambda: time.sleep(0.005), rounds=3, least=0.02)
    result = found.summary()
    assert result["min"] <= result["median"] <= result["max"]
    assert result["median"] == pytest.approx(4, rel=0.25)
    assert result["seconds"] == pytest.approx([0.02, 0.005], rel=0.25)


def test_both_warm_up_and_then_take_turns() -> None:
    calls = ""

    def call(name: str) -> None:
        nonlocal calls
        calls += name

    alternate(lambda: call("A"), lambda: call("B"), rounds=3, least=0.0)
    assert calls == "AB" + "AB" * 3


def test_a_call_is_repeated_until_the_time_has_passed() -> None:
    count = 0

    def call() -> None:
        nonlocal count
        count += 1
        time.sleep(0.01)

    alternate(call, lambda: None, rounds=1, least=0.05)
    assert 4 <= count - 1 <= 5


def test_the_best_time_in_place_of_the_mean() -> None:
    pauses = iter([0.0, 0.05, 0.001, 0.05, 0.0])
    found = alternate(lambda: time.sleep(next(pauses)), lambda: None, rounds=1, least=0.1, of_first=min)
    assert found.first[0] < 0.02


def test_least_middle_and_greatest() -> None:
    assert summary([3.0, 1.0, 2.0, 10.0]) == {"min": 1.0, "median": 2.5, "max": 10.0}


def test_a_factor_scales_ratios_but_not_seconds() -> None:
    ratios = Ratios([2.0, 4.0, 6.0], [1.0, 1.0, 2.0])
    assert ratios.summary(0.5) == {"min": 1.0, "median": 1.5, "max": 2.0, "seconds": [4.0, 1.0]}
