"""Tables, comparisons, costs and commands against values worked out by hand."""

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer.main

from holofusion.cli.main import app
from holofusion.evaluation.claims import Sum
from holofusion.evaluation.metrics import METRICS
from holofusion.pipeline.registry import ROWS
from holofusion.report.claim_lines import claim_lines, published_sum, verdicts_of
from holofusion.report.collect import read_log, read_results
from holofusion.report.commands import commands
from holofusion.report.cost import cost_of, step_seconds
from holofusion.report.curves import write_curves
from holofusion.report.paper import published_table
from holofusion.report.scores import GROUPS, finder, mean_over_seeds, score_table
from holofusion.report.settings_table import settings_table
from holofusion.report.terms import settings_tried, terms_of
from tests.report.conftest import SURFACES, write_further_metrics


def read(results: Path, resolved: Any) -> Any:
    settings = resolved.settings
    return read_results(results, settings.methods, settings.categories, settings.seeds)


def test_published_means_are_those_of_the_cells() -> None:
    table = published_table()
    assert len(table) == 10
    assert [row.method for row in table.values() if row.misprinted] == ["holodiffusion"]
    assert table["holodiffusion"].mean == pytest.approx((104.9, 0.091), abs=3e-3, rel=1e-3)
    assert table["holofusion"].kid["teddybear"] == 0.075 and table["holofusion_mse"].fid["hydrant"] == 62.2


def test_claims_follow_the_numbers(results: Path, resolved: Any) -> None:
    found = {v.claim.name: v for v in verdicts_of(read(results, resolved), "teddybear", [0])}
    assert {
        name: found[name].verdict for name in ("bootstrap", "best_consistent", "loses_consistency", "sds_worse")
    } == {
        "bootstrap": "holds",
        "best_consistent": "holds",
        "loses_consistency": "holds",
        "sds_worse": "not tested",
    }
    (line,) = claim_lines(found["bootstrap"], "teddybear")
    assert (line.what, line.value) == ("HoloDiffusion, no bootstrap \u2212 HoloDiffusion", "60.0")
    assert line.published == "111.0 (teddybear)"  # 1000 (.217 - .106)
    line = claim_lines(found["keeps_gain"], "hydrant")[1]
    assert line.what == "0.5 × HoloDiffusion + 0.5 × HoloDiffusion* \u2212 HoloFusion over features"
    assert line.value == "8.0" and line.published == "15.0 (hydrant)"  # 1000 (.5 .079 + .5 .045 - .047)
    assert "holofusion_sds kernel (seed 0)" in found["sds_worse"].reason


def test_rows_over_codes_stand_for_the_published_ones() -> None:
    over_features = Sum("kernel", {"holodiffusion": 1.0, "holofusion": -1.0})
    assert published_sum(over_features, "hydrant")
    assert published_sum(Sum("kernel", {"code_fusion_coarse": 1.0, "code_fusion": -1.0}), "hydrant") == published_sum(
        over_features, "hydrant"
    )
    assert published_sum(Sum("kernel", {"holofusion": 1.0, "code_fusion": -1.0}), "hydrant") == ""
    assert published_sum(Sum("kernel", {"code_fusion_mesh": 1.0, "code_fusion": -1.0}), "hydrant") == ""


def test_numbers_as_text() -> None:
    assert METRICS["kernel"].text(0.01234) == "12.3"
    assert METRICS["kernel"].text(-0.002) == "\u22122.0"
    assert METRICS["frechet"].text(42.26) == "42.3"
    assert METRICS["kernel"].text(None) == ""


def test_the_field_s_scores_stand_before_the_mesh_s_where_there_are_any(results: Path, resolved: Any) -> None:
    group = next(group for group in GROUPS if group.name == "mesh")
    assert score_table(read(results, resolved), group, "teddybear", [0]).columns == []
    scores = SURFACES | {"mesh_sharpness": 0.4, "mesh_consistency_psnr": 29.0, "outline_iou": 0.9}
    write_further_metrics(results, "geometry", "holofusion-teddybear-s0", scores)
    table = score_table(read(results, resolved), group, "teddybear", [0])
    assert [column.name for column in table.columns] == [
        "kernel",
        "sharpness",
        "mesh_sharpness",
        "consistency_psnr",
        "mesh_consistency_psnr",
        "outline_iou",
    ]
    (line,) = (line for line in table.lines if line.method == "holofusion")
    values = {column.name: cell and cell.value for column, cell, _ in line.cells}
    assert (values["consistency_psnr"], values["mesh_consistency_psnr"]) == (30, 29)


def test_table_marks_the_best_row_and_keeps_real_rows_apart(results: Path, resolved: Any) -> None:
    table = score_table(read(results, resolved), GROUPS[0], "teddybear", [0])
    assert [(line.method, line.real) for line in table.lines][3:5] == [
        ("holodiffusion_nobootstrap", False),
        ("real_floor", True),
    ]
    best = [line.method for line in table.lines if line.cells[0][2]]
    assert best == ["holodiffusion_star"]
    cells = {line.method: line.cells[0][1] for line in table.lines}
    assert (
        cells["real_other"].value == pytest.approx(0.102) and cells["holofusion"].low < 0.012 < cells["holofusion"].high
    )


def test_mean_over_seeds_needs_all_of_them(results: Path, resolved: Any) -> None:
    found = read(results, resolved)
    again = [replace(run, seed=1, metrics=json.loads(json.dumps(run.metrics))) for run in found.runs]
    for run in again:
        for entry in run.metrics["entries"]:
            entry["value"] += 0.01
    find = finder(replace(found, runs=[*found.runs, *again[1:]]), "teddybear")
    assert mean_over_seeds(find, "holofusion", "kernel", [0, 1]) is None
    cell = mean_over_seeds(find, "holodiffusion", "kernel", [0, 1])
    assert cell.value == pytest.approx(0.035) and cell.seeds == pytest.approx((0.030, 0.040))
    assert mean_over_seeds(find, "real_floor", "kernel", [0, 1]).value == pytest.approx(0.002)


def test_cost_adds_up_shared_steps(results: Path, resolved: Any) -> None:
    found = read(results, resolved)
    costs = {run.method: cost_of(run, found.runs) for run in found.runs}
    assert costs["holofusion"].scene_seconds == 10 + 5 + 10  # coarse scene, hypotheses, distillation
    assert costs["holodiffusion_star"].scene_seconds == 10 + 10
    assert costs["holodiffusion"].scene_seconds == 10
    assert costs["holofusion"].parameters == 1_500_000 and costs["holofusion"].trained_with is None
    assert (
        costs["holodiffusion"].trained_with == "HoloFusion over features" and costs["holodiffusion"].train_seconds == 60
    )
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
    assert (first.label, first.seconds, first.share) == ("HoloFusion over features", 80.0, 1.0)
    assert (second.seconds, second.share, second.equal) == (70.0, 0.875, True)
    assert replace(second, share=0.8).equal is False
    assert set(settings_tried()) <= {entry.trained_by for entry in ROWS.values()}


def test_curves_begin_when_the_warm_up_is_over(results: Path, resolved: Any) -> None:
    found = read(results, resolved)
    write_curves(found.curves, results / "curves.csv")
    with open(results / "curves.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "holodiffusion"]
    assert [float(row["seconds"]) for row in rows] == [20.0, 40.0, 60.0]
    assert [row["steps"] for row in rows] == ["0", "10", "20"]


def test_commands_are_ones_the_program_takes(results: Path, resolved: Any) -> None:
    runs = read(results, resolved).runs
    for run in runs:
        lines = commands(run)
        for line in lines:
            assert (results.parent / settings_in_order(line)).is_file(), line
        assert [line.split()[1] for line in lines][-6:] == [
            "sample",
            "render",
            "mesh",
            "evaluate",
            "consistency",
            "geometry",
        ]
    assert any("hypotheses" in line for line in commands(runs[0]))
    coded = commands(replace(runs[0], method="gaussian"))
    assert [line.split()[1] for line in coded][:5] == ["dataset", "prepare", "reconstruct", "encode", "train"]
    assert all(map(settings_in_order, coded))


def settings_in_order(line: str) -> str:
    """The settings file that a command names, once its verb is found to be given the options that it takes and requires."""
    verbs = typer.main.get_command(app).commands
    program, verb, *words = shlex.split(line, comments=True)
    given = {word for word in words if word.startswith("--")}
    known = {option for parameter in verbs[verb].params for option in parameter.opts}
    required = {parameter.opts[0] for parameter in verbs[verb].params if parameter.required}
    assert program == "holofusion" and required <= given <= known, line
    return words[words.index("--config") + 1]


def test_settings_say_where_rows_differ(results: Path, resolved: Any) -> None:
    table = settings_table(results, read(results, resolved).runs)
    assert "HoloDiffusion, no bootstrap" in table["training"]["bootstrap"]
    assert ";" not in table["training"]["steps"]


def test_log_without_its_torn_last_line(results: Path) -> None:
    log = read_log(results / "warmup" / "teddybear-s0" / "log.jsonl")
    assert log["step"] == [10, 20, 30, 40, 50] and log["loss"][0] == 0.1
    assert read_log(results / "absent.jsonl") == {}
