"""Files of generated scenes beside their fields, row by row: the picture docs/surfaces-rows.jpg.

    python -m tools.row_surfaces RESULTS

RESULTS is a finished run of `mini`; rows of ROWS without surfaces there are left out. Every row is two strips: its pictures of
the first scenes, and what trimesh opens of their .glb files, from the same cameras.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.mesh_views import cameras_of, picture_of, read_textured
from holofusion.pipeline.paths import scene_name
from holofusion.pipeline.runs import Run
from holofusion.utils.files import UserError, read_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
CATEGORY, SEED, SCENES, VIEWS = "hydrant", 0, 3, 3
ROWS = ("code_fusion", "code_fusion_mesh", "code_fusion_feedforward", "code_fusion_coarse")


def strips(results: Path, run: str, size: int) -> np.ndarray:
    """A run's pictures above those of its files (2 size, SCENES VIEWS size, 3), uint8."""
    views = results / "views" / run
    folder, cameras, columns = ViewFolder.load(views, run, size), cameras_of(views), []
    for unit, seed in enumerate(folder.seeds[:SCENES]):
        mesh = read_textured(*file_of(results / "meshes" / run, seed))
        for index in np.flatnonzero(folder.units == unit)[:VIEWS]:
            shown = picture_of(mesh, cameras[folder.files[index]], size)
            columns.append(np.concatenate([folder.image(int(index)), shown]))
    return np.concatenate(columns, 1)


def file_of(meshes: Path, seed: int) -> tuple[Path, dict[str, Any]]:
    """The .glb file of a scene, and what meshes.json says of it."""
    for path in sorted(meshes.glob("*/meshes.json")):
        for scene in read_json(path)["scenes"]:
            if scene["seed"] == seed and scene["faces"]:
                return path.parent / f"{scene_name(seed)}.glb", scene["file"]
    raise UserError(f"{meshes}: no surface of seed {seed}")


def main(results: Path) -> None:
    size = read_json(results / "data" / CATEGORY / "data.json")["image_size"]
    runs = [Run(row, CATEGORY, SEED).name for row in ROWS]
    found = [strips(results, run, size) for run in runs if (results / "meshes" / run).is_dir()]
    Image.fromarray(np.concatenate(found)).save(DOCS / "surfaces-rows.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
