"""Rasterise triangle meshes with PyTorch3D: the surface point of each pixel, and a silhouette with gradients."""

from __future__ import annotations

from dataclasses import dataclass
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


def rasterise(vertices: list[Tensor], faces: list[Tensor], cameras: Cameras, size: int) -> Surface:
    """Rasterise mesh i, vertices (M_i, 3) and faces (F_i, 3), from camera i. An empty mesh gives an empty image."""
    with optional():
        from pytorch3d.renderer import RasterizationSettings
        from pytorch3d.renderer.mesh import MeshRasterizer
        from pytorch3d.structures import Meshes

    meshes = Meshes(vertices, faces)
    if meshes.isempty():
        blank = torch.zeros((len(cameras), size, size), device=vertices[0].device)
        return Surface(blank, blank[..., None].expand(-1, -1, -1, 3), blank, blank > 0)
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

    # PyTorch3D finds the faces; gradients are taken below for all pixels at once (its own go pixel by pixel on a CPU).
    # Twice: with a rim, the nearest face that reaches a pixel may not be the one that covers it.
    with torch.no_grad():
        hard, rim = fragments(0.0), fragments(RIM_WIDTH * pixel)
    covered = hard.pix_to_face[..., 0] >= 0
    near = (rim.pix_to_face[..., 0] >= 0) & ~covered
    covered_at, near_at = covered.nonzero(as_tuple=True), near.nonzero(as_tuple=True)  # once: a GPU is waited for
    shape = covered.shape
    vertices, corners = meshes.verts_packed(), meshes.faces_packed()
    image = torch.arange(len(cameras), device=covered.device)[:, None, None].expand(shape)

    # covered pixels: where the ray meets the plane of its face
    origins, directions = (part.unflatten(1, (size, size))[covered_at] for part in cameras.rays(size))
    first, second, third = vertices[corners[hard.pix_to_face[..., 0][covered_at]]].unbind(1)
    normal = torch.linalg.cross(second - first, third - first)
    facing = (directions * normal).sum(-1)
    facing = torch.where(facing.abs() < 1e-12, torch.full_like(facing, 1e-12), facing)
    distance = ((first - origins) * normal).sum(-1) / facing

    # the rim: the point of the face that is nearest in the image
    edge = vertices[corners[rim.pix_to_face[..., 0][near_at]]]
    flat = torch.stack(
        [cameras[image[near_at]].project(edge[:, corner : corner + 1])[0][:, 0] for corner in range(3)], 1
    )
    centre = (torch.arange(size, device=covered.device) + 0.5) * -pixel + 1
    place = torch.stack(torch.meshgrid(centre, centre, indexing="ij")[::-1], -1).expand(*shape, 2)[near_at]
    soft = torch.sigmoid(-squared_distance(place, flat) / (SILHOUETTE_SOFTNESS * pixel) ** 2)
    weights = rim.bary_coords[..., 0, :][near_at]

    alpha = torch.zeros(shape, device=covered.device).masked_scatter(covered, torch.ones_like(distance))
    points = torch.zeros((*shape, 3), device=covered.device)
    points = points.index_put(covered_at, origins + distance[:, None] * directions)
    points = points.index_put(near_at, (edge * weights[..., None]).sum(1))
    depth = torch.zeros(shape, device=covered.device).index_put(covered_at, distance)
    depth = depth.index_put(near_at, rim.zbuf[..., 0][near_at])
    return Surface(alpha.index_put(near_at, soft), points, depth, near | covered)


def squared_distance(places: Tensor, triangles: Tensor) -> Tensor:
    """Squared distance (N,) of points (N, 2) from the outline of triangles (N, 3, 2)."""
    distances = []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        side, offset = triangles[:, end] - triangles[:, start], places - triangles[:, start]
        share = ((offset * side).sum(1) / side.square().sum(1).clamp_min(1e-12)).clamp(0, 1)
        distances.append((offset - share[:, None] * side).square().sum(1))
    return torch.stack(distances).amin(0)
