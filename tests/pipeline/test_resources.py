"""Requests for memory and time are modest for `mini`, grow with sizes and with attempts, and stay within limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from holofusion.config.baselines import GrafOverrides, Magic3DOverrides
from holofusion.config.params import Params
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resources import memory_mb, run_minutes

STEPS = (
    "dataset",
    "prepare",
    "warmup",
    "reconstruct",
    "encode",
    "train",
    "sample",
    "hypotheses",
    "render",
    "mesh",
    "evaluate",
    "consistency",
    "curve",
    "geometry",
    "report",
)


@pytest.fixture
def params(repository: Path) -> Params:
    return load_params(repository / "params.yaml")


def changed(params: Params, **values: object) -> Params:
    """The same settings with other values of some, named `section__key`."""
    content = params.model_dump(exclude_unset=True)
    for name, value in values.items():
        section, key = name.split("__")
        content[section][key] = value
    return Params.model_validate(content)


def large(params: Params) -> Params:
    """Sizes of the papers' kind."""
    return changed(
        params,
        dataset__source="co3d",
        dataset__image_size=256,
        volume__resolution=32,
        volume__features=64,
        denoiser__channels=[64, 64, 128, 256],
        training__steps=200_000,
        training__batch=8,
        code_training__batch=32,
        superresolution__channels=[64, 128, 256],
        superresolution__crop=128,
        hypotheses__views=100,
        sampling__scenes=1024,
        sampling__steps=1000,
    )


def test_mini_is_modest(params: Params) -> None:
    """Measured on a CPU: 1.8 GB for the warm-up, 1.2 GB for a training, of at most 24 minutes."""
    assert all(1900 < memory_mb(step, params) < 8000 for step in STEPS)
    assert all(60 <= run_minutes(step, params) < 65 for step in STEPS)


def test_large_sizes_ask_for_more(params: Params) -> None:
    assert memory_mb("train", large(params)) > 2 * memory_mb("train", params)
    for step in ("train", "sample", "hypotheses"):
        assert run_minutes(step, large(params)) > run_minutes(step, params), step
    assert run_minutes("train", large(params)) > 600


@pytest.mark.parametrize(
    ("step", "values"),
    [
        ("warmup", {"encoder__image_size": 256}),
        ("warmup", {"synthetic__objects": 5000}),
        ("train", {"volume__resolution": 96}),
        ("train", {"training__batch": 64}),
        ("train", {"superresolution__crop": 128, "superresolution__objects": 4}),
        ("train", {"pigan__image_size": 256}),
        ("sample", {"volume__resolution": 96}),
        ("hypotheses", {"dataset__image_size": 512}),
    ],
)
def test_each_size_counts(params: Params, step: str, values: dict[str, object]) -> None:
    assert memory_mb(step, changed(params, **values)) > memory_mb(step, params) + 100


@pytest.mark.parametrize(
    ("step", "section", "values"),
    [
        ("train", "code_training", {"batch": 256}),
        ("train", "code_training", {"crops": 400}),
        ("train", "code_denoiser", {"channels": [4096, 4096]}),
        ("train", "over_codes", {"superresolution": {"crop": 128, "channels": [1024]}}),
        ("sample", "over_codes", {"distillation": {"patches": 4096}}),
        ("hypotheses", "over_codes", {"superresolution": {"channels": [1024]}}),
        ("render", "over_codes", {"superresolution": {"channels": [1024]}}),
    ],
)
def test_sizes_of_rows_over_codes_count_where_such_are_asked_for(
    params: Params, step: str, section: str, values: dict[str, object]
) -> None:
    content = params.model_dump(exclude_unset=True)
    content[section] |= values
    larger = Params.model_validate(content)
    assert memory_mb(step, larger) > memory_mb(step, params) + 100
    features = {"methods": ["holofusion", "pigan"]}
    assert memory_mb(step, larger.model_copy(update=features)) == memory_mb(step, params.model_copy(update=features))


@pytest.mark.parametrize(
    ("step", "section", "values"),
    [
        ("train", "code_training", {"steps": 10_000_000}),
        ("sample", "code_sampling", {"steps": 100_000_000}),
        ("sample", "over_codes", {"distillation": {"mode": "full", "steps": 100_000_000}}),
        ("sample", "surface_fusion", {"steps": 100_000_000}),
        ("hypotheses", "over_codes", {"hypotheses": {"views": 50_000}}),
        ("curve", "code_sampling", {"steps": 100_000_000}),
    ],
)
def test_lengths_of_rows_over_codes_count(params: Params, step: str, section: str, values: dict[str, object]) -> None:
    content = params.model_dump(exclude_unset=True)
    content[section] |= values
    assert run_minutes(step, Params.model_validate(content)) > run_minutes(step, params) + 60


def test_whole_images_of_graf_count_where_they_are_asked_for(params: Params) -> None:
    asked = params.model_copy(update={"methods": [*params.methods, "graf_whole"]})
    larger = GrafOverrides.model_validate({"graf": {"patch": 128, "image_size": 128}})
    assert memory_mb("train", asked.model_copy(update={"graf_whole": larger})) > 2 * memory_mb("train", params)
    assert memory_mb("train", params.model_copy(update={"graf_whole": larger})) == memory_mb("train", params)


@pytest.mark.parametrize(("step", "section", "key"), [("train", "sds", "batch"), ("sample", "magic3d", "image_size")])
def test_the_finer_guide_counts_where_it_is_asked_for(params: Params, step: str, section: str, key: str) -> None:
    asked = params.model_copy(update={"methods": [*params.methods, "magic3d_sds"]})
    larger = {"magic3d": params.magic3d.model_copy(update={"image_size": 1024})}
    if section == "sds":
        changes = Magic3DOverrides.model_validate({"sds": {key: 256}})
        larger = {"magic3d_sds": changes}
    assert memory_mb(step, asked.model_copy(update=larger)) > memory_mb(step, asked) + 100
    assert memory_mb(step, params.model_copy(update=larger)) == memory_mb(step, params)


def test_fewer_shards_take_longer(params: Params) -> None:
    one, many = (run_minutes("hypotheses", changed(large(params), sampling__shards=shards)) for shards in (1, 64))
    assert one > many + 60


def test_attempts_grow_up_to_a_day(params: Params) -> None:
    once = run_minutes("train", params)
    assert [run_minutes("train", params, attempt) for attempt in (1, 2, 3)] == [once, 2 * once, 3 * once]
    assert memory_mb("train", params, 3) == 3 * memory_mb("train", params)
    assert run_minutes("train", changed(large(params), training__steps=10_000_000), 4) == 24 * 60
