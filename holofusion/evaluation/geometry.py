"""Surfaces of generated scenes: are they in one piece, and do they cover the true shapes?

Chamfer distance: the mean, over points drawn evenly by area on one surface, of the distance to the nearest point drawn
on the other; averaged over both directions, in normalised world units (the cube has side 2). Coverage and minimum
matching distance (Achlioptas et al. 2018) see both sides of a set: coverage falls where shapes are left out, the
matching distance grows where the nearest generated shape is far.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from holofusion.evaluation.bootstrap import drawn_of, entry, redraw, replicates_of
from holofusion.evaluation.references import evenly
from holofusion.meshing.surface import pieces
from holofusion.pipeline.registry import FLOOR
from holofusion.steps.sample import scene_name
from holofusion.utils.files import UserError, read_json, write_json
from holofusion.utils.progress import say
from holofusion.utils.random import numpy_generator_for

REFERENCE = "true_shapes"


def run_geometry(resolved: Any, data_folder: Path, meshes: Path, dataset: Path | None, out: Path) -> None:
    """Score the meshes of one run, all shards in `meshes`, and write the metrics JSON to `out`.

    dataset: folder in CO3D layout whose sequences hold `mesh.ply`, the true surface; None where there are none, as with
    photographs: then shapes are not compared. They are compared with objects of training and held-out together, as many
    as there are scenes, evenly spaced: fewer scenes than objects could not cover them all.
    Scenes without a surface are counted, and left out of everything else.
    Raises UserError naming the file that is missing, of another run, or not a mesh.
    """
    run = f"{resolved.method}-{resolved.category}-s{resolved.seed}"
    scenes = read_scenes(Path(meshes), run)
    found = {seed: read_mesh(path) for seed, (facts, path) in scenes.items() if facts["faces"]}
    empty = len(scenes) - len(found)
    entries = [entry("empty_meshes", None, empty, None, len(scenes), n_generated=len(scenes))]
    draws = drawn_of(_draws(resolved, len(scenes)), [place for place, seed in enumerate(scenes) if seed in found])
    entries += surface_entries(list(found.values()), draws)
    if dataset is not None and found:
        split = read_json(Path(data_folder) / "split.json")
        names = some(split["train"] + split["held_out"], len(scenes))
        count = resolved.settings.geometry.points
        generated = [surface_points(mesh, count, run, seed) for seed, mesh in found.items()]
        entries += shape_entries(generated, true_points(resolved, data_folder, dataset, names), draws)
    _write(resolved, resolved.method, run, len(scenes), entries, out)


def run_geometry_floor(resolved: Any, data_folder: Path, dataset: Path, out: Path) -> None:
    """The same numbers of the true shapes of the held-out objects, compared with as many training objects.

    What a good generator can be asked for. Raises UserError naming the `mesh.ply` that is missing.
    """
    split = read_json(Path(data_folder) / "split.json")
    names = some(split["train"], len(split["held_out"]))
    shapes = true_meshes(resolved, data_folder, dataset, split["held_out"])
    count = resolved.settings.geometry.points
    generated = [surface_points(mesh, count, name) for name, mesh in shapes.items()]
    draws = _draws(resolved, len(shapes))
    entries = surface_entries(list(shapes.values()), draws)
    entries += shape_entries(generated, true_points(resolved, data_folder, dataset, names), draws)
    _write(resolved, FLOOR, f"{FLOOR}-{resolved.category}", len(shapes), entries, out)


def some(names: list[str], count: int) -> list[str]:
    """`count` names, evenly spaced; all if there are fewer."""
    return [names[index] for index in evenly(len(names), count)]


def surface_points(mesh: trimesh.Trimesh, count: int, *name: object) -> np.ndarray:
    """Points (count, 3) drawn evenly by area on the surface, by a generator of that name."""
    return trimesh.sample.sample_surface(mesh, count, seed=numpy_generator_for("surface points", *name))[0]


def chamfer_distances(generated: list[np.ndarray], reference: list[np.ndarray]) -> np.ndarray:
    """Chamfer distance (n, m), world units, between each of n and each of m sets of points (k, 3)."""
    trees = [[(points, cKDTree(points)) for points in shapes] for shapes in (generated, reference)]
    return np.array(
        [
            [(tree.query(others)[0].mean() + other.query(points)[0].mean()) / 2 for others, other in trees[1]]
            for points, tree in trees[0]
        ]
    )


def coverage(distances: np.ndarray) -> float:
    """Share of the references that are nearest to at least one generated shape; distances (n generated, m reference)."""
    return len(np.unique(distances.argmin(1))) / distances.shape[1]


def matching_distance(distances: np.ndarray) -> float:
    """Mean over the references of the distance to the nearest generated shape; distances (n generated, m reference)."""
    return float(distances.min(0).mean())


def shape_scores(
    generated: list[np.ndarray], reference: list[np.ndarray], draws: np.ndarray | None
) -> dict[str, tuple[float, np.ndarray | None]]:
    """(value, replicates) of `chamfer_coverage` and `chamfer_mmd` between sets of surface points (k, 3).

    draws: how often each generated shape is drawn, (replicates, n), or None.
    """
    distances = chamfer_distances(generated, reference)

    def scored(score: Callable[[np.ndarray], float]) -> tuple[float, np.ndarray | None]:
        return score(distances), replicates_of(lambda counts: score(distances[counts > 0]), draws)

    return {"chamfer_coverage": scored(coverage), "chamfer_mmd": scored(matching_distance)}


def shape_entries(
    generated: list[np.ndarray], reference: list[np.ndarray], draws: np.ndarray | None
) -> list[dict[str, Any]]:
    """Entries of the scores against true shapes."""
    counts = {"n_real": len(reference), "n_generated": len(generated)}
    scores = shape_scores(generated, reference, draws)
    return [entry(name, REFERENCE, *score, len(generated), **counts) for name, score in scores.items()]


def surface_entries(meshes: list[trimesh.Trimesh], draws: np.ndarray | None) -> list[dict[str, Any]]:
    """Entries of the means over meshes with a surface; none if there are no meshes."""
    if not meshes:
        return []
    components, floaters = zip(*map(pieces, meshes), strict=True)
    faces = [len(mesh.faces) for mesh in meshes]
    entries = []
    for name, values in (("mesh_components", components), ("floaters", floaters), ("mesh_faces", faces)):
        replicates = replicates_of(lambda counts, values=values: np.average(values, weights=counts), draws)
        entries.append(entry(name, None, np.mean(values), replicates, len(meshes), n_generated=len(meshes)))
    return entries


def _draws(resolved: Any, units: int) -> np.ndarray | None:
    return redraw(units, resolved.settings.intervals.replicates, "scenes", resolved.seed)


def read_scenes(folder: Path, run: str) -> dict[int, tuple[dict[str, Any], Path]]:
    """meshes.json's entry and the .ply of every scene of a run, by seed. Raises UserError for a folder of another run."""
    shards = sorted(path.parent for path in folder.glob("*/meshes.json"))
    if not shards:
        raise UserError(f"{folder}: no meshes.json in its subfolders; mesh writes one per shard")
    scenes = {}
    for shard in shards:
        listing = read_json(shard / "meshes.json")
        if listing.get("run") != run:
            raise UserError(f"{shard / 'meshes.json'}: meshes of {listing.get('run')}, expected {run}")
        for facts in listing["scenes"]:
            if facts["seed"] in scenes:
                raise UserError(f"{shard / 'meshes.json'}: seed {facts['seed']} is listed twice")
            scenes[facts["seed"]] = facts, shard / f"{scene_name(facts['seed'])}.ply"
    return dict(sorted(scenes.items()))


def read_mesh(path: Path) -> trimesh.Trimesh:
    """A mesh from a PLY file, vertices in the file's order. Raises UserError if it is missing, damaged or has no faces."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        mesh = trimesh.load_mesh(path, process=False)
        if mesh.area > 0:
            return mesh
        reason = "it has no surface"
    except Exception as error:  # the reader raises whatever a damaged file happens to trip
        reason = error
    raise UserError(f"{path}: not a mesh that can be read ({reason})")


def true_meshes(resolved: Any, data_folder: Path, dataset: Path, names: list[str]) -> dict[str, trimesh.Trimesh]:
    """The true surface of each named sequence, moved and scaled into the cube as its photographs were."""
    path, meshes = Path(data_folder) / "data.json", {}
    placed = read_json(path).get("normalisation", {})
    for name in names:
        if name not in placed:
            raise UserError(f"{path}: no normalisation of {name}; run `holofusion prepare` again")
        mesh = read_mesh(Path(dataset) / resolved.category / name / "mesh.ply")
        mesh.vertices = (mesh.vertices - placed[name]["center"]) / placed[name]["scale"]
        meshes[name] = mesh
    return meshes


def true_points(resolved: Any, data_folder: Path, dataset: Path, names: list[str]) -> list[np.ndarray]:
    """Points on the true surfaces of the named sequences."""
    meshes = true_meshes(resolved, data_folder, dataset, names)
    return [surface_points(mesh, resolved.settings.geometry.points, name) for name, mesh in meshes.items()]


def _write(resolved: Any, method: str, run: str, n_scenes: int, entries: list[dict[str, Any]], out: Path) -> None:
    write_json(
        out,
        {
            "run": run,
            "method": method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "n_scenes": n_scenes,
            "entries": entries,
        },
    )
    for found in entries:
        say(f"{run}  {found['metric']}: {found['value']:.5g}")
