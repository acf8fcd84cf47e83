"""The printed table."""

from __future__ import annotations

from benchmarks.table import table


def figure(median: float, **more: object) -> dict[str, object]:
    return {"min": median / 2, "median": median, "max": 2 * median, **more}


def lines(found: dict) -> dict[str, list[str]]:
    """Words of every line, by its first one."""
    return {words[0]: words[1:] for words in (line.split() for line in table(found).splitlines())}


def test_targets_that_are_reached_and_missed() -> None:
    found = lines(
        {"unet_peak_fraction": figure(0.5), "loading_headroom": figure(40.0), "sample_time_ratio": figure(0.01)}
    )
    assert found["unet_peak_fraction"] == ["0.25", "0.5", "1", ">=", "0.6", "MISSED"]
    assert found["loading_headroom"] == ["20", "40", "80", ">=", "1", "reached"]
    assert found["sample_time_ratio"][3:] == ["<=", "0.05", "reached"]


def test_figures_within_figures_and_what_is_none() -> None:
    found = lines({"machine": {"threads": 1}, "outer": figure(1.0, seconds=[0.2, 0.1], inner={"time": figure(3.0)})})
    assert list(found) == ["figure", "outer", "outer.inner.time"]
    assert found["outer"] == ["0.5", "1", "2", "0.2", "/", "0.1"]


def test_columns_are_aligned() -> None:
    text = table({"a": figure(123.0), "a_long_name": figure(0.5)}).splitlines()
    assert len({line.index("max") + 3 if "max" in line else len(line) for line in text}) == 1
