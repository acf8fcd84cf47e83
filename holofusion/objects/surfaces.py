"""Surfaces of scenes as files: the one place where the formats of meshes are known here."""

from __future__ import annotations

from pathlib import Path

from holofusion.cameras import Cameras
from holofusion.cameras.spread import spread_cameras
from holofusion.scenes.base import Scene
from holofusion.utils.files import UserError
from holofusion.utils.random import generator_for

FORMATS = ("glb", "ply", "obj")
RESOLUTION = 128  # points along a side of the cube at which density is looked up
TEXTURE = 1024  # texels along a side of a mesh's texture
OUTLINES = 12  # renders that a surface is matched with


def formats_in(text: str) -> list[str]:
    """The formats of a list such as `glb,ply`. Raises UserError naming one that there is not."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    for name in found:
        if name not in FORMATS:
            raise UserError(f"--format {name}: meshes are written as {', '.join(FORMATS)}")
    return found


def write_surface(scene: Scene, folder: Path, formats: list[str], cameras: Cameras) -> list[str]:
    """Write object.SUFFIX of the scene's surface into the folder, in each format; return the files' names.

    cameras: a pool, of which some look at the scene from all round, to find the surface that looks like the renders. Empty
    where the scene has no surface: fog, or a kind of scene without geometry.
    """
    around = spread_cameras(cameras, OUTLINES, generator_for("outline cameras"))
    mesh = scene.surface(RESOLUTION, cameras=around) if formats else None
    if mesh is None or not len(mesh.faces):
        return []
    textured = mesh.textured(texture=TEXTURE) if {*formats} - {"ply"} else None
    for suffix in formats:
        path = folder / f"object.{suffix}"
        if suffix == "ply" or textured is None:
            mesh.export(path)
        else:
            textured.export(path)
    return [f"object.{suffix}" for suffix in formats]
