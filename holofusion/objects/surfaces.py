"""Surfaces of scenes as files: the one place where the formats of meshes are known here."""

from __future__ import annotations

from pathlib import Path

from holofusion.scenes.base import Scene
from holofusion.utils.files import UserError

FORMATS = ("glb", "ply", "obj")
RESOLUTION = 128  # points along a side of the cube at which density is looked up


def formats_in(text: str) -> list[str]:
    """The formats of a list such as `glb,ply`. Raises UserError naming one that there is not."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    for name in found:
        if name not in FORMATS:
            raise UserError(f"--format {name}: meshes are written as {', '.join(FORMATS)}")
    return found


def write_surface(scene: Scene, folder: Path, formats: list[str]) -> list[str]:
    """Write object.SUFFIX of the scene's surface into the folder, in each format; return the files' names.

    Empty where the scene has no surface: fog, or a kind of scene without geometry.
    """
    mesh = scene.surface(RESOLUTION) if formats else None
    if mesh is None or not len(mesh.faces):
        return []
    for suffix in formats:
        if suffix == "obj":  # colours as readers expect them beside the vertices
            (folder / "object.obj").write_text(str(mesh.trimesh().export(file_type="obj", include_normals=False)))
        else:
            mesh.export(folder / f"object.{suffix}")
    return [f"object.{suffix}" for suffix in formats]
