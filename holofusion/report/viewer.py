"""Encode meshes as text inside the report, for templates/viewer.js to draw."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh
from PIL import Image

from holofusion.pipeline.paths import scene_name
from holofusion.utils.files import UserError, read_json, reading

TEMPLATES = Path(__file__).parent / "templates"
INT16_STEPS = 32767  # of an int16, from the origin to the mesh's largest coordinate
UINT16_STEPS = 65535  # of a uint16, from one side of a texture to the other
TEXTURE_BYTES = 96_000  # most of one texture
LEAST_SIDE = 64  # texels to which a texture is made smaller at most
JPEG_QUALITY = 90
BEYOND = 1e-3  # of a texture's side outside it: what lies further out is taken to repeat it
GREY = 180  # of a mesh without colours


@dataclass(frozen=True)
class Skin:
    """Places (n, 2) of the vertices in a texture, in [0, 1] from its upper left corner, and the texture, RGB."""

    places: np.ndarray
    texture: Image.Image


class Surface(NamedTuple):
    """Vertices (n, 3) in world units, faces (m, 3), colours (n, 3) from 0 to 255 as they are seen, and the texture if any.

    Of a textured mesh the colours are the texture's at the vertices, and vertices along its seams are there several times.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray
    skin: Skin | None = None


def script() -> str:
    """What draws the packed meshes, as one text."""
    return "".join((TEMPLATES / name).read_text() for name in ("raster.js", "viewer.js"))


def pack(meshes: list[tuple[str, int, Path]], textures: float = float("inf")) -> str:
    """JSON text of (label, sample seed, mesh file) triples, safe inside `<script type="application/json">`.

    Per mesh: `label`, `seed`, the counts `vertices` and `faces`, `radius` (of the farthest vertex from the origin, in
    world units), `scale` (world units per step of a position), and in base64, little-endian: `positions` (int16 xyz),
    `indices` (uint16, or uint32 above 65535 vertices; three per face), and either `colours` (uint8 rgb) or, of a file with
    a texture, `uvs` (uint16, from the texture's upper left corner); then also `texture`, the address of a PNG or JPEG
    picture. A mesh of n faces has about n / 2 vertices and takes 14 n bytes: 210 kB at 15000 faces. With a texture it has
    about 0.7 n vertices and takes 17 n bytes: 140 kB at 8000 faces; and its texture 128 kB at most. textures: most bytes of
    all textures together, of which each gets the same share. A file without colours is shown grey. All meshes are shown at
    one scale and turned about the world's origin, so give them in the frame they were generated in.
    Raises UserError naming the file if it is absent, is not a mesh, or has no surface.
    """
    each = textures / max(len(meshes), 1)
    text = json.dumps(
        [{"label": label, "seed": seed, **packed(read_mesh(Path(path)), each)} for label, seed, path in meshes]
    )
    return text.replace("<", "\\u003c")  # a label cannot end the script element it lies in


def packed(surface: Surface, texture: float = float("inf")) -> dict[str, Any]:
    """The entry of one mesh, but for its label and seed. texture: most bytes of its texture, as text."""
    vertices, faces, colours, skin = surface
    scale = float(np.abs(vertices).max()) / INT16_STEPS
    entry = {
        "vertices": len(vertices),
        "faces": len(faces),
        "radius": float(np.linalg.norm(vertices, axis=1).max()),
        "scale": scale,
        "positions": encoded(np.rint(vertices / scale), "<i2"),
        "indices": encoded(faces, "<u2" if len(vertices) <= 0xFFFF else "<u4"),
    }
    if skin is None:
        return {**entry, "colours": encoded(colours, "u1")}
    uvs = encoded(np.rint(skin.places * UINT16_STEPS), "<u2")
    return {**entry, "uvs": uvs, "texture": picture(skin.texture, min(TEXTURE_BYTES, texture * 3 / 4))}


def picture(texture: Image.Image, most: float) -> str:
    """A texture as the address of a PNG or JPEG file, whichever is smaller, its sides halved until that has `most` bytes."""
    while True:
        files = {}
        for kind, options in (("png", {}), ("jpeg", {"quality": JPEG_QUALITY, "subsampling": 0})):
            stream = io.BytesIO()
            texture.save(stream, kind, **options)
            files[kind] = stream.getvalue()
        kind = min(files, key=lambda kind: len(files[kind]))
        if len(files[kind]) <= most or min(texture.size) < 2 * LEAST_SIDE:
            return f"data:image/{kind};base64,{base64.b64encode(files[kind]).decode()}"
        texture = texture.reduce(2)


def read_mesh(path: Path) -> Surface:
    """The surface of a mesh file, in the file's own order.

    One that the step `mesh` scaled is put back into world units and place, as meshes.json beside it says.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        mesh: Any = trimesh.load_mesh(path, process=False)
        vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces)
        colours, skin = np.broadcast_to(_colours_of(mesh.visual), vertices.shape), _skin_of(mesh.visual)
    except Exception as error:  # the reader raises whatever a damaged file happens to trip
        raise UserError(f"{path}: not a mesh that can be read ({error})") from None
    if not len(faces) or not np.isfinite(vertices).all() or not vertices.any():
        raise UserError(f"{path}: no surface to show; expected finite vertices and at least one face")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise UserError(f"{path}: a face names a vertex that is not there")
    unit, center = _place_of(path)
    return Surface(vertices * unit + center, faces, colours, skin)


def _place_of(path: Path) -> tuple[float, np.ndarray]:
    """What a file is multiplied with, and what is then added, for world units and place."""
    listing = path.with_name("meshes.json")
    if path.suffix != ".ply" and listing.is_file():
        with reading(listing):
            for scene in read_json(listing)["scenes"]:
                if scene_name(scene["seed"]) == path.stem and scene.get("file"):
                    return float(scene["file"]["unit"]), np.asarray(scene["file"]["center"], float)
    return 1.0, np.zeros(3)


def _colours_of(visual: Any) -> np.ndarray:
    """Colours (n, 3) from 0 to 255 as they are seen: of the vertices, or of a texture at them."""
    if not isinstance(visual, trimesh.visual.TextureVisuals):
        return np.asarray(visual.vertex_colors)[:, :3]
    if visual.uv is None:
        return np.full((1, 3), GREY)
    return np.asarray(visual.to_color().vertex_colors)[:, :3]


def _skin_of(visual: Any) -> Skin | None:
    """The texture of a mesh; None where it has none, or one that is repeated, which the viewer does not do."""
    if not isinstance(visual, trimesh.visual.TextureVisuals) or visual.uv is None:
        return None
    material = visual.material
    texture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    places = np.asarray(visual.uv, float) * (1, -1) + (0, 1)
    if texture is None or not np.isfinite(places).all() or np.abs(places - 0.5).max() > 0.5 + BEYOND:
        return None
    return Skin(places.clip(0, 1), texture.convert("RGB"))


def thinned(surface: Surface, most: int) -> Surface:
    """The mesh with at most `most` faces or so: vertices of a cell of a cubic lattice become one, their mean.

    Vertices that lie together, as at the seams of a texture, become one too. A mesh with a texture and at most so many faces
    stays as it is; one with more loses the texture, and keeps its colours at the vertices.
    As in Rossignac and Borrel, "Multi-resolution 3D approximations for rendering complex scenes", 1993.
    """
    vertices, faces, colours, skin = surface
    if skin is not None and len(faces) <= most:
        return surface
    places, one = np.unique(vertices, axis=0, return_inverse=True)
    if len(places) < len(vertices):
        count = np.bincount(one)[:, None]
        colours = np.stack([np.bincount(one, column) for column in np.asarray(colours, float).T], 1) / count
        vertices, faces = places, one[faces]
    cells = 256.0
    first = (vertices, faces, colours)
    while len(faces) > most and cells > 4:
        cells /= 1.25
        low = first[0].min(0)
        place = np.floor((first[0] - low) / (np.ptp(first[0], axis=0).max() / cells + 1e-12)).astype(np.int64)
        _, cell = np.unique(place @ np.array([1, 1024, 1024**2]), return_inverse=True)
        count = np.bincount(cell)[:, None]
        vertices, colours = (
            np.stack([np.bincount(cell, column) for column in np.asarray(part, float).T], 1) / count
            for part in (first[0], first[2])
        )
        faces = cell[first[1]]
        faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    return Surface(vertices, faces, np.rint(colours))


def encoded(values: np.ndarray, kind: str) -> str:
    """The values as numbers of one kind, row by row, in base64."""
    return base64.b64encode(values.astype(kind).tobytes()).decode()
