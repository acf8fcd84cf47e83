"""Files of fitted hydrants beside their fields: the picture and the table of docs/surfaces.md.

    python -m tools.surfaces RESULTS

RESULTS is a run of `mini`, with its embedded objects, prepared photographs and reconstructions. Writes
docs/surfaces.png and docs/surfaces.json, from which `make reference` fills the table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image

from holofusion.config.steps import ReconstructSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.meshing.points import chamfer_distances, drawn_points, normal_consistencies
from holofusion.methods.code_scenes import plain_scene
from holofusion.pipeline.resolve import load_step
from holofusion.reconstruction.objects import read_grids
from holofusion.rendering.images import to_bytes
from holofusion.steps.mesh import outline_cameras
from holofusion.utils.files import read_json, write_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
CATEGORY, OBJECTS = "hydrant", ("hydrant_0001", "hydrant_0003")
FACES, TEXTURE, SIZE, RESOLUTION = 10_000, 1024, 128, 64  # of the files; of the pictures and of marching cubes
SHOWN, POINTS = 6, 4096


def main(results: Path) -> None:
    data = PreparedCategory.load(results / "data" / CATEGORY)
    settings = load_step(results / "config" / "reconstruct" / f"{CATEGORY}.yaml").settings
    assert isinstance(settings, ReconstructSettings)
    section, cameras = settings.reconstruction, outline_cameras(data)
    moved = read_json(results / "data" / CATEGORY / "data.json")["normalisation"]
    strips, found = [], {}
    for name, grid in zip(OBJECTS, read_grids(results / "reconstructions" / CATEGORY, OBJECTS), strict=True):
        scene = plain_scene(grid[None].float(), section)
        file = scene.surface(RESOLUTION, None, cameras).textured(FACES, TEXTURE)
        seen, shown = scene.render(cameras, SIZE), file.render(cameras, SIZE)
        both = ((seen.alpha > 0.9) & (shown.alpha > 0.9)).expand(-1, 3, -1, -1)
        solid, drawn = seen.alpha > 0.5, shown.alpha > 0.5
        true = trimesh.load_mesh(results / "dataset" / CATEGORY / name / "mesh.ply", process=False)
        true.vertices = (true.vertices - moved[name]["center"]) / moved[name]["scale"]
        points = drawn_points(true, POINTS, "true")
        figures = {"outlines": float((solid & drawn).sum() / (solid | drawn).sum())}
        figures["colour"] = float((seen.rgb - shown.rgb)[both].abs().mean())
        for label, other in (("file", file.trimesh()), ("true", true)):
            drawn_of = drawn_points(other, POINTS, label, "other")
            figures[f"chamfer_{label}"] = float(chamfer_distances([drawn_of.points], [points.points])[0, 0])
            figures[f"normals_{label}"] = float(normal_consistencies([drawn_of], [points])[0, 0])
        found[name] = figures
        strips.append([np.concatenate(list(to_bytes(views.rgb[:SHOWN])), 1) for views in (seen, shown)])
    write_json(DOCS / "surfaces.json", found)
    picture = np.concatenate([np.concatenate([strip[place] for strip in strips], 1) for place in (0, 1)])
    Image.fromarray(picture).save(DOCS / "surfaces.png", optimize=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
