"""Rasterising triangle meshes with PyTorch3D: where each pixel meets the surface, and a silhouette with gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from holofusion.cameras import Cameras

BAND = 0.25  # softness of the silhouette, pixels (squared distances are divided by its square)
REACH = 1.0  # pixels outside the silhouette that still see it


@dataclass(frozen=True)
class Surface:
    """What the pixels of B images of side S see. alpha (B, S, S): 1 inside the silhouette, falling to 0 within a pixel
    outside, with gradients on both sides. points (B, S, S, 3) on the nearest face, depth (B, S, S); both mean nothing
    where `seen` (B, S, S) is false.
    """

    alpha: Tensor
    points: Tensor
    depth: Tensor
    seen: Tensor


def rasterise(vertices: list[Tensor], faces: list[Tensor], cameras: Cameras, size: int) -> Surface:
    """Rasterise mesh i, vertices (M_i, 3) and faces (F_i, 3), from camera i. An empty mesh gives an empty image."""
    from pytorch3d.renderer import RasterizationSettings
    from pytorch3d.renderer.mesh import MeshRasterizer
    from pytorch3d.structures import Meshes

    pixel = 2 / size
    settings = RasterizationSettings(
        image_size=size, blur_radius=(REACH * pixel) ** 2, faces_per_pixel=1,
        clip_barycentric_coords=True, perspective_correct=True, bin_size=0 if vertices[0].device.type == "cpu" else None,
    )  # fmt: skip
    meshes = Meshes(vertices, faces)
    if meshes.isempty():
        blank = torch.zeros((len(cameras), size, size), device=vertices[0].device)
        return Surface(blank, blank[..., None].expand(-1, -1, -1, 3), blank, blank > 0)
    found = MeshRasterizer(cameras.to_pytorch3d(size), settings)(meshes)
    hit = found.pix_to_face >= 0
    outward = torch.where(hit, found.dists / (BAND * pixel) ** 2, torch.full_like(found.dists, 30.0))
    soft = torch.sigmoid(-outward[..., 0].clamp(-30, 30))
    covered = hit[..., 0] & (found.dists[..., 0] <= 0)
    # at the edges of small faces `soft` is below one inside the silhouette too: its value is exact there, its gradient kept
    alpha = soft + (torch.where(covered, torch.ones_like(soft), soft) - soft).detach()
    corners = meshes.verts_packed()[meshes.faces_packed()]
    nearest = found.pix_to_face[..., 0].clamp_min(0)
    points = (corners[nearest] * found.bary_coords[..., 0, :, None]).sum(-2)
    return Surface(alpha, points, found.zbuf[..., 0], hit[..., 0])
