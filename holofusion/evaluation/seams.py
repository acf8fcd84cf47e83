"""Colour steps inside one part of a surface: real objects have few, mosaics of several objects have many.

Parts of an object meet in creases, and change colour there by right. Where the surface goes on smoothly a step of colour is
lettering, a pattern, or a seam. So the figure of a sample is read against that of real objects.
"""

from __future__ import annotations

import math

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

OPAQUE = 0.5  # share of light that a voxel stops, from which on it belongs to the body
SAME_PART = math.cos(math.radians(20))  # cosine of two neighbours' normals from which on they lie in one part
STEP = 0.15  # difference of colour, of 1, in the most different channel
SMOOTHING = 1.0  # voxels: blur of the body before its normals are taken
NEIGHBOURS = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1), (1, 1, 0), (1, -1, 0))


def colour_steps(density: Tensor, colour: Tensor, extent: float) -> float:
    """Share of neighbouring pairs of surface voxels inside one part whose colours differ by more than STEP.

    density (n,n,n), per world unit; colour (3,n,n,n) in [0, 1], of a cube [-extent, extent]^3. Surface voxels stop at
    least half of the light and touch, by a face, one that does not. Neighbours share a face or an edge, and are of one
    part if their normals differ by less than 20 degrees. 0 without such pairs.
    """
    voxel = 2 * extent / density.shape[-1]
    body = 1 - torch.exp(-density.double() * voxel) >= OPAQUE
    surface = body & ~_eroded(body)
    normal = _normals(body)
    pairs = steps = 0
    for offset in NEIGHBOURS:
        here, there = _shifted(offset, density.shape[-1])
        both = surface[here] & surface[there]
        same = (normal[(slice(None), *here)] * normal[(slice(None), *there)]).sum(0) >= SAME_PART
        differ = (colour[(slice(None), *here)] - colour[(slice(None), *there)]).abs().amax(0) > STEP
        pairs += int((both & same).sum())
        steps += int((both & same & differ).sum())
    return steps / pairs if pairs else 0.0


def seams(samples: list[float], real: list[float]) -> list[float]:
    """`colour_steps` of samples as multiples of the mean of real objects; 1 is right. Raises ValueError if that is 0."""
    expected = sum(real) / len(real)
    if not expected:
        raise ValueError("seams: the real objects have no colour steps to compare with")
    return [value / expected for value in samples]


def _eroded(body: Tensor) -> Tensor:
    """Voxels (n,n,n) whose six neighbours by a face are all in the body too; what lies beyond the cube is empty."""
    padded = F.pad(body, (1, 1, 1, 1, 1, 1))
    inner = body.clone()
    for axis in range(3):
        for start in (0, 2):
            inner &= padded.narrow(axis, start, body.shape[axis])[
                tuple(slice(None) if other == axis else slice(1, -1) for other in range(3))
            ]
    return inner


def _normals(body: Tensor) -> Tensor:
    """Unit vectors (3,n,n,n) out of the blurred body; zero where it is uniform."""
    smooth = torch.from_numpy(gaussian_filter(body.cpu().double().numpy(), SMOOTHING)).to(body.device)
    return -F.normalize(torch.stack(torch.gradient(smooth)), dim=0)


def _shifted(offset: tuple[int, int, int], size: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of a cube and of the same cube `offset` voxels on, where both exist."""
    here = tuple(slice(max(0, -step), size - max(0, step)) for step in offset)
    there = tuple(slice(max(0, step), size - max(0, -step)) for step in offset)
    return here, there
