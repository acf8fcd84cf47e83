"""Rasterise triangle meshes: the surface point of each pixel, and a silhouette with gradients.

Which face a pixel sees is found without gradients, by PyTorch3D or by `holofusion.rendering.face_search`; what follows from it
has gradients to the vertices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from holofusion.cameras import Cameras

if TYPE_CHECKING:
    from pytorch3d.renderer.mesh.rasterizer import Fragments
from holofusion.utils.extras import optional

SILHOUETTE_SOFTNESS = 0.25  # softness of the silhouette, pixels (squared distances are divided by its square)
RIM_WIDTH = 1.0  # pixels outside the silhouette that still see it


@dataclass(frozen=True)
class Surface:
    """What the pixels of B images of side S see. alpha (B, S, S): 1 inside the silhouette, from 1/2 to 0 within a
    pixel outside, where it has gradients. points (B, S, S, 3) on the nearest face, depth (B, S, S) along the ray, world
    units; both mean nothing where `seen` (B, S, S) is false.
    """

    alpha: Tensor
    points: Tensor
    depth: Tensor
    seen: Tensor


@dataclass(frozen=True)
class Found:
    """Faces that pixels of B images of side S see, numbered through all meshes, -1 for none.

    covering (B, S, S): the nearest on the ray. reaching (B, S, S): of a pixel that none covers, the one that comes within
    RIM_WIDTH pixels of it. weights (B, S, S, 3): the corners' shares in the point of that face that comes nearest; depth
    (B, S, S): how far that is.
    """

    covering: Tensor
    reaching: Tensor
    weights: Tensor
    depth: Tensor


Search = Callable[[list[Tensor], list[Tensor], Cameras, int], Found]
"""How faces are found: of mesh i, vertices (M_i, 3) and faces (F_i, 3), from camera i, in images of a size."""


@torch.no_grad()
def by_pytorch3d(vertices: list[Tensor], faces: list[Tensor], cameras: Cameras, size: int) -> Found:
    """Found by PyTorch3D, which on a CPU compares every pixel with every face: for meshes of few faces, or a GPU."""
    with optional():
        from pytorch3d.renderer import RasterizationSettings
        from pytorch3d.renderer.mesh import MeshRasterizer
        from pytorch3d.structures import Meshes

    meshes = Meshes(vertices, faces)
    pytorch3d_cameras, pixel = cameras.to_pytorch3d(size), 2 / size

    def fragments(reach: float) -> Fragments:
        settings = RasterizationSettings(
            image_size=size,
            blur_radius=reach**2,
            clip_barycentric_coords=reach > 0,
            perspective_correct=True,
            bin_size=0 if vertices[0].device.type == "cpu" else None,
        )
        return MeshRasterizer(pytorch3d_cameras, settings)(meshes)

    # twice: with a rim, the nearest face that reaches a pixel may not be the one that covers it
    hard, rim = fragments(0.0), fragments(RIM_WIDTH * pixel)
    covering, reaching = hard.pix_to_face[..., 0], rim.pix_to_face[..., 0]
    reaching = torch.where(covering < 0, reaching, torch.full_like(reaching, -1))
    return Found(covering, reaching, rim.bary_coords[..., 0, :], rim.zbuf[..., 0])


def rasterise(
    vertices: list[Tensor], faces: list[Tensor], cameras: Cameras, size: int, search: Search = by_pytorch3d
) -> Surface:
    """Rasterise mesh i, vertices (M_i, 3) and faces (F_i, 3), from camera i. An empty mesh gives an empty image."""
    if not any(len(part) for part in faces):
        blank = torch.zeros((len(cameras), size, size), device=vertices[0].device)
        return Surface(blank, blank[..., None].expand(-1, -1, -1, 3), blank, blank > 0)
    found, pixel = search(vertices, faces, cameras, size), 2 / size
    covered, near = found.covering >= 0, found.reaching >= 0
    covered_at, near_at = covered.nonzero(as_tuple=True), near.nonzero(as_tuple=True)  # once: a GPU is waited for
    shape, starts = covered.shape, accumulate((len(part) for part in vertices), initial=0)
    corners = torch.cat([part + start for part, start in zip(faces, starts, strict=False)])
    places = torch.cat(vertices)
    image = torch.arange(len(cameras), device=covered.device)[:, None, None].expand(shape)

    # gradients are taken for all pixels at once (PyTorch3D's own go pixel by pixel on a CPU)
    # covered pixels: where the ray meets the plane of its face
    origins, directions = (part.unflatten(1, (size, size))[covered_at] for part in cameras.rays(size))
    first, second, third = places[corners[found.covering[covered_at]]].unbind(1)
    normal = torch.linalg.cross(second - first, third - first)
    facing = (directions * normal).sum(-1)
    facing = torch.where(facing.abs() < 1e-12, torch.full_like(facing, 1e-12), facing)
    distance = ((first - origins) * normal).sum(-1) / facing

    # the rim: the point of the face that is nearest in the image
    edge = places[corners[found.reaching[near_at]]]
    flat = torch.stack(
        [cameras[image[near_at]].project(edge[:, corner : corner + 1])[0][:, 0] for corner in range(3)], 1
    )
    centre = (torch.arange(size, device=covered.device) + 0.5) * -pixel + 1
    place = torch.stack(torch.meshgrid(centre, centre, indexing="ij")[::-1], -1).expand(*shape, 2)[near_at]
    soft = torch.sigmoid(-squared_distance(place, flat) / (SILHOUETTE_SOFTNESS * pixel) ** 2)
    weights = found.weights[near_at]

    alpha = torch.zeros(shape, device=covered.device).masked_scatter(covered, torch.ones_like(distance))
    points = torch.zeros((*shape, 3), device=covered.device)
    points = points.index_put(covered_at, origins + distance[:, None] * directions)
    points = points.index_put(near_at, (edge * weights[..., None]).sum(1))
    depth = torch.zeros(shape, device=covered.device).index_put(covered_at, distance)
    depth = depth.index_put(near_at, found.depth[near_at])
    return Surface(alpha.index_put(near_at, soft), points, depth, near | covered)


def squared_distance(places: Tensor, triangles: Tensor) -> Tensor:
    """Squared distance (N,) of points (N, 2) from the outline of triangles (N, 3, 2)."""
    distances = []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        side, offset = triangles[:, end] - triangles[:, start], places - triangles[:, start]
        share = ((offset * side).sum(1) / side.square().sum(1).clamp_min(1e-12)).clamp(0, 1)
        distances.append((offset - share[:, None] * side).square().sum(1))
    return torch.stack(distances).amin(0)
