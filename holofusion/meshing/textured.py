"""Triangle meshes with a texture: files that open anywhere, and pictures.

World units, y up, right-handed, faces counter-clockwise seen from outside: as glTF wants them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image

from holofusion.cameras import Cameras
from holofusion.meshing.glb import glb_bytes
from holofusion.meshing.visibility import projected
from holofusion.rendering.triangles import fill, nearest
from holofusion.rendering.views import Views
from holofusion.utils.files import UserError, replacing

OVERSAMPLING = 2  # pixels a side behind each of a picture
NEAREST_DEPTH = 1e-3  # of the triangles that are drawn, world units in front of the camera


@dataclass(frozen=True)
class TexturedMesh:
    """vertices (M, 3) float32 and faces (F, 3); places (U, 2) in the texture, in [0, 1] from its upper left corner, and
    their numbers by face, corners (F, 3): vertices on a seam have several; texture (S, S, 3) uint8, sRGB.
    """

    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray
    corners: np.ndarray
    texture: np.ndarray

    def trimesh(self) -> trimesh.Trimesh:
        """The surface alone for the library trimesh, without seams."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)

    def scaled(self, length: float) -> TexturedMesh:
        """The same with the middle of its bounding box at the origin and the box's longest side of this length: 1 gives a
        unit box; glTF's unit is the metre."""
        low, high = self.vertices.min(0), self.vertices.max(0)
        vertices = (self.vertices - (low + high) / 2) * (length / (high - low).max())
        return replace(self, vertices=vertices.astype(np.float32))

    def png(self) -> bytes:
        """The texture as a file."""
        stream = io.BytesIO()
        Image.fromarray(self.texture).save(stream, "png")
        return stream.getvalue()

    def glb(self) -> bytes:
        """The content of a GLB file; vertices on a seam are there once for each side of it."""
        owner = np.zeros(len(self.places), int)
        owner[self.corners] = self.faces
        normals = self.trimesh().vertex_normals
        return glb_bytes(self.vertices[owner], normals[owner], self.places, self.corners, self.png())

    def obj(self, stem: str) -> dict[str, bytes]:
        """The files stem.obj, stem.mtl and stem.png, by name. OBJ counts places from the lower left corner."""
        material = f"newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {stem}.png\n"
        corners = np.stack([self.faces, self.corners, self.faces], 2).reshape(len(self.faces), -1) + 1
        text = io.StringIO()
        text.write(f"mtllib {stem}.mtl\n")
        np.savetxt(text, self.vertices, "v %.6g %.6g %.6g")
        np.savetxt(text, self.places * (1, -1) + (0, 1), "vt %.6f %.6f")
        np.savetxt(text, self.trimesh().vertex_normals, "vn %.4f %.4f %.4f")
        text.write("usemtl surface\n")
        np.savetxt(text, corners, "f %d/%d/%d %d/%d/%d %d/%d/%d")
        return {
            f"{stem}.png": self.png(),
            f"{stem}.mtl": material.encode(),
            f"{stem}.obj": text.getvalue().encode(),
        }

    def export(self, path: Path | str) -> None:
        """Write a .glb file, or an .obj file with its .mtl and .png beside it. Raises UserError for another suffix."""
        path = Path(path)
        if path.suffix not in (".glb", ".obj"):
            raise UserError(f"{path}: meshes with a texture are written as .glb or .obj")
        files = {path.name: self.glb()} if path.suffix == ".glb" else self.obj(path.stem)
        for name, content in files.items():
            with replacing(path.with_name(name)) as temporary:
                temporary.write_bytes(content)

    def render(self, cameras: Cameras, size: int) -> Views:
        """Views of side `size` px from every camera, over white, on the cameras' device."""
        views = [self._view(cameras[index], size) for index in range(len(cameras))]
        return Views(*(torch.stack([view[part] for view in views]).to(cameras.R.device) for part in range(3)))

    def _view(self, camera: Cameras, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Colours (3, S, S), opacity (1, S, S), and depth along the ray (1, S, S), of one camera."""
        side = size * OVERSAMPLING
        flat, depth = projected(camera, self.vertices, side)
        drawn = np.flatnonzero((depth[self.faces] > NEAREST_DEPTH).all(1))
        faces, corners = self.faces[drawn], self.corners[drawn]
        covered = fill(flat[faces], side)
        inverse = covered.shares / depth[faces[covered.triangle]]  # linear in the picture are values over depth
        seen = nearest(covered, 1 / inverse.sum(1))
        weights = seen.shares / depth[faces[seen.triangle]]
        weights /= weights.sum(1, keepdims=True)
        points = (self.vertices[faces[seen.triangle]] * weights[..., None]).sum(1)
        places = (self.places[corners[seen.triangle]] * weights[..., None]).sum(1)
        pixels = np.zeros((side * side, 5))
        pixels[seen.pixel, :3] = sampled(reduced(self.texture, self._texels_per_pixel(flat, drawn)), places) - 1
        pixels[seen.pixel, 3] = 1
        pixels[seen.pixel, 4] = np.linalg.norm(points - camera.centers()[0].cpu().numpy(), axis=1)
        picture = pixels.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 5).mean((1, 3))
        distance = picture[None, ..., 4] / np.maximum(picture[None, ..., 3], 1e-9)
        rgb, alpha = 1 + picture[..., :3].transpose(2, 0, 1), picture[None, ..., 3]
        return torch.from_numpy(rgb).float(), torch.from_numpy(alpha).float(), torch.from_numpy(distance).float()

    def _texels_per_pixel(self, flat: np.ndarray, drawn: np.ndarray) -> float:
        """How many texels, a side, lie behind a pixel of a picture in which vertices are at `flat` (M, 2); the median face."""
        areas = (twice_area(part) for part in (self.places[self.corners[drawn]], flat[self.faces[drawn]]))
        unfolded, shown = areas
        facing = shown > 0
        if not facing.any():
            return 1.0
        return float(np.sqrt(np.median(unfolded[facing] / shown[facing]))) * len(self.texture)


def twice_area(triangles: np.ndarray) -> np.ndarray:
    """Twice the area (F,) of triangles (F, 3, 2)."""
    one, two = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])


def reduced(texture: np.ndarray, texels_per_pixel: float) -> np.ndarray:
    """The texture (S, S, 3) in [0, 1], halved as long as more than one and a half texels fall on a pixel: without grain."""
    values = texture / 255
    while texels_per_pixel > 1.5 and len(values) % 2 == 0:
        values = values.reshape(len(values) // 2, 2, len(values) // 2, 2, 3).mean((1, 3))
        texels_per_pixel /= 2
    return values


def sampled(texture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of a texture (S, S, 3) at places (N, 2), bilinear."""
    side = len(texture)
    position = (places * side - 0.5).clip(0, side - 1)
    first = position.astype(int).clip(0, max(side - 2, 0))
    along = (position - first)[:, :, None]
    x, y = first.T
    beside, below = np.minimum(x + 1, side - 1), np.minimum(y + 1, side - 1)
    upper = texture[y, x] * (1 - along[:, 0]) + texture[y, beside] * along[:, 0]
    lower = texture[below, x] * (1 - along[:, 0]) + texture[below, beside] * along[:, 0]
    return upper * (1 - along[:, 1]) + lower * along[:, 1]
