"""Tables, comparisons, costs and commands against values worked out by hand."""

import csv
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer.main

from holofusion.cli import app
from holofusion.methods.registry import ENTRIES
from holofusion.report import tables
from holofusion.report.collect import read_log, read_results
from holofusion.report.commands import commands
from holofusion.report.cost import cost_of, step_seconds
from holofusion.report.curves import write_curves
from holofusion.report.paper import published_table
from holofusion.report.settings_table import settings_table
from holofusion.report.terms import settings_tried, terms_of

KERNEL = "kd_efficientnet_lite2"


def read(results: Path, resolved: Any) -> Any:
    settings = resolved.settings
    return read_results(results, settings.methods, settings.categories, settings.seeds)


def test_published_means_are_those_of_the_cells() -> None:
    table = published_table()
    assert len(table) == 10
    assert [row.method for row in table.values() if row.misprinted] == ["holodiffusion"]
    assert table["holodiffusion"].mean == pytest.approx((104.9, 0.091), abs=3e-3, rel=1e-3)
    assert table["holofusion"].kid["teddybear"] == 0.075 and table["holofusion_mse"].fid["hydrant"] == 62.2


def test_comparisons_follow_the_numbers(results: Path, resolved: Any) -> None:
    rows = tables.metric_rows(read(results, resolved))
    found = {(c.first, c.second): c for c in tables.comparisons(rows, "teddybear", 0, KERNEL)}
    sharp, star = found["HoloFusion", "HoloDiffusion"], found["HoloFusion", "HoloDiffusion*"]
    assert (sharp.verdict, sharp.published) == ("lower, intervals apart", "lower (0.075 and 0.106, teddybear)")
    assert (star.verdict, star.published) == ("higher, intervals overlap", "lower (0.075 and 0.101, teddybear)")
    assert ("HoloFusion", "HoloFusion (MSE)") not in found  # not among the methods
    swapped = [tables.Row(**{**vars(row), "value": -row.value, "low": None}) for row in rows]
    again = {(c.first, c.second): c.verdict for c in tables.comparisons(swapped, "teddybear", 0, KERNEL)}
    assert again["HoloFusion", "HoloDiffusion"] == "higher"


def test_numbers_as_text() -> None:
    assert tables.number(KERNEL, 0.01234) == "12.3"
    assert tables.number(KERNEL, -0.002) == "\u22122.0"
    assert tables.number("fd_efficientnet_lite2", 42.26) == "42.3"
    assert tables.number(KERNEL, None) == ""


def test_cost_adds_up_shared_steps(results: Path, resolved: Any) -> None:
    found = read(results, resolved)
    costs = {run.method: cost_of(run, found.runs) for run in found.runs}
    assert costs["holofusion"].scene_seconds == 10 + 5 + 10  # coarse scene, hypotheses, distillation
    assert costs["holodiffusion_star"].scene_seconds == 10 + 10
    assert costs["holodiffusion"].scene_seconds == 10
    assert costs["holofusion"].parameters == 1_500_000 and costs["holofusion"].trained_with is None
    assert costs["holodiffusion"].trained_with == "HoloFusion" and costs["holodiffusion"].train_seconds == 60
    assert costs["holodiffusion_nobootstrap"].train_seconds == 50
    assert costs["holofusion"].peak_megabytes == 1500
    assert step_seconds(found) == {"sample": (2, 22.0)}


def test_cost_says_when_a_part_is_unknown(results: Path, resolved: Any) -> None:
    found = read(results, resolved)
    alone = [run for run in found.runs if run.method == "holofusion"]
    assert cost_of(alone[0], alone).scene_seconds is None


def test_terms_count_the_warm_up_and_say_who_had_more(results: Path, resolved: Any) -> None:
    runs = read(results, resolved).runs
    first, second = terms_of(runs)
    assert (first.label, first.seconds, first.share) == ("HoloFusion", 80.0, 1.0)
    assert (second.seconds, second.share, second.equal) == (70.0, 0.875, True)
    assert replace(second, share=0.8).equal is False
    assert set(settings_tried()) <= {entry.trained_by for entry in ENTRIES.values()}


def test_curves_begin_when_the_warm_up_is_over(results: Path, resolved: Any) -> None:
    found = read(results, resolved)
    write_curves(found.curves, results / "curves.csv")
    with open(results / "curves.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "holodiffusion"]
    assert [float(row["seconds"]) for row in rows] == [20.0, 40.0, 60.0]
    assert [row["steps"] for row in rows] == ["0", "10", "20"]


def test_commands_are_ones_the_program_takes(results: Path, resolved: Any) -> None:
    verbs = typer.main.get_command(app).commands
    for run in read(results, resolved).runs:
        lines = commands(run)
        for line in lines:
            program, verb, *words = shlex.split(line, comments=True)
            given = {word for word in words if word.startswith("--")}
            known = {option for parameter in verbs[verb].params for option in parameter.opts}
            required = {parameter.opts[0] for parameter in verbs[verb].params if parameter.required}
            assert program == "holofusion" and required <= given <= known, line
            settings = words[words.index("--config") + 1]
            assert (results.parent / settings).is_file(), settings
        assert [line.split()[1] for line in lines][-3:] == ["sample", "render", "evaluate"]
    assert any("hypotheses" in line for line in commands(read(results, resolved).runs[0]))


def test_settings_say_where_rows_differ(results: Path, resolved: Any) -> None:
    table = settings_table(results, read(results, resolved).runs)
    assert "HoloDiffusion, no bootstrap" in table["training"]["bootstrap"]
    assert ";" not in table["training"]["steps"]


def test_log_without_its_torn_last_line(results: Path) -> None:
    log = read_log(results / "warmup" / "teddybear-s0" / "log.jsonl")
    assert log["step"] == [10, 20, 30, 40, 50] and log["loss"][0] == 0.1
    assert read_log(results / "absent.jsonl") == {}
