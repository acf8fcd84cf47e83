"""The step `memorisation`: how much of each scene comes from which training objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.codes.blocks import fold_blocks
from holofusion.codes.decoder import CodeDecoder
from holofusion.config.steps import MemorisationSettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import facts_of
from holofusion.evaluation.fidelity import scene_mean
from holofusion.evaluation.references import evenly
from holofusion.evaluation.score import say_entries
from holofusion.evaluation.seams import colour_steps, seams
from holofusion.evaluation.sources import sources_of, told_apart
from holofusion.methods.base import construct
from holofusion.methods.files import load_weights, read_sections
from holofusion.pipeline.job import Job
from holofusion.rendering.plain import DENSITY_SCALE, EXTENT
from holofusion.scenes.base import unprefixed
from holofusion.scenes.files import load_scene
from holofusion.scenes.voxel import VoxelScene
from holofusion.utils.files import UserError, read_json, write_json

SURFACE = 4.0  # density before the softplus within which a voxel holds a piece of the surface


def run(job: Job[MemorisationSettings]) -> None:
    """Write the JSON file `job.out`: share of the commonest source and number of sources, over the positions of codes whose
    blocks hold surface, and colour steps as a multiple of the training objects'.

    Scenes and training objects are compared as the linear part of the code sees them once they are decoded.
    """
    grids, decoder = list(_grids(job.path("samples"))), _decoder(job.path("codes"))
    known = torch.cat([decoder(code[None].float()) for code in load_weights(job.path("codes"))["codes"]])
    training = decoder.code.encode(known)
    apart, shares, counts = told_apart(training), [], []
    for grid in grids:
        found = sources_of(decoder.code.encode(grid)[0], training, apart & _with_surface(grid, decoder.code.block))
        shares.append(found.share)
        counts.append(float(found.count))
    real = [_colour_steps(known[number]) for number in evenly(len(known), len(grids))]
    measured = {"commonest_source": shares, "sources": counts}
    if sum(real):
        measured["seams"] = seams([_colour_steps(grid[0]) for grid in grids], real)
    redraws = Redraws(job.settings.intervals.replicates, job.run.seed)
    counted = {"n_real": len(known), "n_generated": len(grids)}
    entries = [scene_mean(name, "train", np.array(values), redraws, **counted) for name, values in measured.items()]
    write_json(job.out, {**facts_of(job.resolved, job.run.method), "n_scenes": len(grids), "entries": entries})
    say_entries(job.run.name, entries)


def _grids(folder: Path) -> Iterator[Tensor]:
    """Plain grids (1, 4, n, n, n) of all scenes below a run's folder. Raises UserError where there is none, or another kind."""
    paths = sorted((path.parent for path in folder.glob("*/*/scene.json")), key=lambda path: path.name)
    if not paths:
        raise UserError(f"{folder}: no scenes here (expected <shard>/<seed>/scene.json)")
    for path in paths:
        scene = load_scene(path)[0]
        if not isinstance(scene, VoxelScene) or scene.field.grid.shape[1] != 4:
            raise UserError(f"{path}: not a decoded code; only such scenes have sources")
        yield scene.field.grid


def _decoder(folder: Path) -> CodeDecoder:
    path = folder / "model.json"
    sections = read_sections(path, read_json(path)["settings"])
    decoder = construct(CodeDecoder, sections)
    decoder.load_state_dict(unprefixed("decoder", load_weights(folder)))
    return decoder.requires_grad_(False)


def _with_surface(grid: Tensor, block: int) -> Tensor:
    """Positions (m, m, m) bool whose block of the plain grid (1, 4, n, n, n) holds surface; all where none does."""
    found = (fold_blocks(grid[:, :1], block)[0].abs() < SURFACE).any(0)
    return found if found.any() else torch.ones_like(found)


def _colour_steps(grid: Tensor) -> float:
    return colour_steps(DENSITY_SCALE * F.softplus(grid[0]), torch.sigmoid(grid[1:]), EXTENT)
