"""Surfaces of generated scenes: are they in one piece, and do they cover the true shapes?

Chamfer distances (`meshing/points.py`) are in normalised world units: the cube has side 2. Coverage and minimum matching
distance (Achlioptas et al. 2018) see both sides of a set: coverage falls where shapes are left out, the matching distance
grows where the nearest generated shape is far.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from holofusion.evaluation.bootstrap import replicates_of
from holofusion.evaluation.entries import Counts, Entry, entry
from holofusion.evaluation.references import evenly
from holofusion.meshing.mesh import pieces
from holofusion.meshing.points import Drawn, chamfer_distances, normal_consistencies
from holofusion.pipeline.paths import scene_name
from holofusion.utils.files import UserError, read_json, reading

REFERENCE = "true_shapes"


def some(names: list[str], count: int) -> list[str]:
    """`count` names, evenly spaced; all if there are fewer."""
    return [names[index] for index in evenly(len(names), count)]


def coverage(distances: np.ndarray) -> float:
    """Share of the references that are nearest to at least one generated shape; distances (n generated, m reference)."""
    return len(np.unique(distances.argmin(1))) / distances.shape[1]


def matching_distance(distances: np.ndarray) -> float:
    """Mean over the references of the distance to the nearest generated shape; distances (n generated, m reference)."""
    return float(distances.min(0).mean())


def matching_normals(distances: np.ndarray, consistencies: np.ndarray) -> float:
    """Mean over the references of the normal consistency with the nearest generated shape; both (n generated, m reference)."""
    return float(np.take_along_axis(consistencies, distances.argmin(0)[None], 0).mean())


def shape_scores(
    generated: list[Drawn], reference: list[Drawn], draws: np.ndarray | None
) -> dict[str, tuple[float, np.ndarray | None]]:
    """(value, replicates) of `chamfer_coverage`, `chamfer_mmd` and `normal_consistency` between sets of surfaces.

    draws: how often each generated shape is drawn, (replicates, n), or None.
    """
    distances = chamfer_distances(*([shape.points for shape in shapes] for shapes in (generated, reference)))
    consistencies = normal_consistencies(generated, reference)

    def scored(score: Callable[..., float], *tables: np.ndarray) -> tuple[float, np.ndarray | None]:
        return score(*tables), replicates_of(lambda drawn: score(*(table[drawn > 0] for table in tables)), draws)

    return {
        "chamfer_coverage": scored(coverage, distances),
        "chamfer_mmd": scored(matching_distance, distances),
        "normal_consistency": scored(matching_normals, distances, consistencies),
    }


def shape_entries(generated: list[Drawn], reference: list[Drawn], draws: np.ndarray | None) -> list[Entry]:
    """Entries of the scores against true shapes."""
    counts: Counts = {"n_real": len(reference), "n_generated": len(generated)}
    scores = shape_scores(generated, reference, draws)
    return [entry(name, REFERENCE, *score, len(generated), **counts) for name, score in scores.items()]


def surface_entries(meshes: list[trimesh.Trimesh], draws: np.ndarray | None) -> list[Entry]:
    """Entries of the means over meshes with a surface; none if there are no meshes."""
    if not meshes:
        return []
    components, floaters = (np.array(column) for column in zip(*map(pieces, meshes), strict=True))
    faces = np.array([len(mesh.faces) for mesh in meshes])
    entries = []
    for name, values in (("mesh_components", components), ("floaters", floaters), ("mesh_faces", faces)):
        replicates = replicates_of(lambda counts, values=values: np.average(values, weights=counts), draws)
        entries.append(entry(name, None, np.mean(values), replicates, len(meshes), n_generated=len(meshes)))
    return entries


FILE_FACTS = {
    # metric: what meshes.json calls it
    "outline_iou": "outline_iou",
    "departure": "departure",
    "open_edges": "open_edges",
    "file_components": "components",
    "file_faces": "faces",
    "file_size": "bytes",
}


def file_entries(facts: list[dict[str, Any]], draws: np.ndarray | None) -> list[Entry]:
    """Entries of the means over the files of surfaces that meshes.json states these facts of; none if there are no files."""
    entries = []
    for metric, name in FILE_FACTS.items() if facts else ():
        values = np.array([float(each[name]) for each in facts])
        replicates = replicates_of(lambda counts, values=values: np.average(values, weights=counts), draws)
        entries.append(entry(metric, None, values.mean(), replicates, len(facts), n_generated=len(facts)))
    return entries


def read_scenes(folder: Path, run: str) -> dict[int, tuple[dict[str, Any], Path]]:
    """The entry in meshes.json and the .ply of every scene of a run, by seed. Raises UserError for a folder of another run."""
    shards = sorted(path.parent for path in folder.glob("*/meshes.json"))
    if not shards:
        raise UserError(f"{folder}: no meshes.json in its subfolders; mesh writes one per shard")
    scenes = {}
    for shard in shards:
        listing = read_json(shard / "meshes.json")
        with reading(shard / "meshes.json"):
            if listing.get("run") != run:
                raise UserError(f"{shard / 'meshes.json'}: meshes of {listing.get('run')}, expected {run}")
            for facts in listing["scenes"]:
                seed, _ = int(facts["seed"]), int(facts["faces"])
                if seed in scenes:
                    raise UserError(f"{shard / 'meshes.json'}: seed {seed} is listed twice")
                scenes[seed] = facts, shard / f"{scene_name(seed)}.ply"
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
        reason = str(error)
    raise UserError(f"{path}: not a mesh that can be read ({reason})")


def true_meshes(data: Path, sequences: Path, names: list[str]) -> dict[str, trimesh.Trimesh]:
    """The true surface of each named sequence, moved and scaled into the cube as its photographs were.

    data: folder of the prepared category; sequences: folder whose subfolders, named as the sequences, hold `mesh.ply`.
    Raises UserError naming the file that is missing or not a mesh.
    """
    path, meshes = data / "data.json", {}
    with reading(path):
        placed = read_json(path).get("normalisation", {})
        for name in names:
            if name not in placed:
                raise UserError(f"{path}: no normalisation of {name}; run `holofusion prepare` again")
            mesh = read_mesh(sequences / name / "mesh.ply")
            mesh.vertices = (mesh.vertices - placed[name]["center"]) / placed[name]["scale"]
            meshes[name] = mesh
    return meshes
