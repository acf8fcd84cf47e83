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
    """What the pixels of B images of side S see. alpha (B, S, S): 1 inside the silhouette, from 1/2 to 0 within a
    pixel outside, where it has gradients. points (B, S, S, 3) on the nearest face, depth (B, S, S); both mean nothing
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

    meshes = Meshes(vertices, faces)
    if meshes.isempty():
        blank = torch.zeros((len(cameras), size, size), device=vertices[0].device)
        return Surface(blank, blank[..., None].expand(-1, -1, -1, 3), blank, blank > 0)
    pytorch3d_cameras, pixel = cameras.to_pytorch3d(size), 2 / size

    def fragments(reach: float):
        settings = RasterizationSettings(
            image_size=size, blur_radius=reach**2, clip_barycentric_coords=reach > 0, perspective_correct=True,
            bin_size=0 if vertices[0].device.type == "cpu" else None,
        )  # fmt: skip
        return MeshRasterizer(pytorch3d_cameras, settings)(meshes)

    # twice: with a rim, the nearest face that reaches a pixel may not be the one that covers it
    hard, rim = fragments(0.0), fragments(REACH * pixel)
    covered, near = hard.pix_to_face[..., 0] >= 0, rim.pix_to_face[..., 0] >= 0
    soft = torch.sigmoid(-rim.dists[..., 0] / (BAND * pixel) ** 2)
    alpha = torch.where(covered, torch.ones_like(soft), torch.where(near, soft, torch.zeros_like(soft)))
    corners = meshes.verts_packed()[meshes.faces_packed()]
    # the face that covers the pixel, or the one whose rim does
    face = torch.where(covered, hard.pix_to_face[..., 0], rim.pix_to_face[..., 0]).clamp_min(0)
    weights = torch.where(covered[..., None], hard.bary_coords[..., 0, :], rim.bary_coords[..., 0, :])
    depth = torch.where(covered, hard.zbuf[..., 0], rim.zbuf[..., 0])
    return Surface(alpha, (corners[face] * weights[..., None]).sum(-2), depth, near | covered)
