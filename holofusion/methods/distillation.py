"""Stage 2: fuse many super-resolved views, several hypotheses each, into one high-resolution radiance field.

Losses (PAPER: top-k patch-remix, and the ablations MSE and SDS). Patch-remix: one random lattice offset per step cuts
the render and the hypotheses into patches; each patch of the render is compared with the k hypotheses nearest to it.
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from holofusion.cameras import Cameras
from holofusion.methods.least_squares_init import painted
from holofusion.methods.superresolution import support_of
from holofusion.rendering.grids import SparseField, SparseGrid, dilate, occupancy_of
from holofusion.rendering.volume import render_rays
from holofusion.scenes.voxel import DenseScene, SparseScene, SuperResolvedScene
from holofusion.training.checkpoint import load_state, save_state
from holofusion.utils.precision import autocast
from holofusion.utils.progress import say
from holofusion.utils.random import generator_for

RAYS_OF_A_PART = 2048  # of a view that is rendered whole, with gradients


def top_k_error(render: Tensor, hypotheses: Tensor, k: int) -> Tensor:
    """Mean squared error of patches (P, n, 3) to the k nearest of their hypotheses (P, K, n, 3): a scalar.

    The choice is made against the current render and carries no gradient of its own.
    """
    errors = (render[:, None] - hypotheses).square().mean((2, 3))
    return errors.topk(k, dim=1, largest=False).values.mean()


def lattice_patches(
    count: int, size: int, patch: int, candidates: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw `count` patches of a lattice with a random offset: view numbers (P,) and pixel indices (P, patch * patch).

    candidates (V, size, size) bool says which pixels matter: a random one of them names the lattice cell it lies in.
    Cells cut off by the border are moved inside.
    """
    offset = torch.randint(patch, (2,), generator=generator)
    hits = candidates.flatten().nonzero().squeeze(1)
    chosen = hits[torch.randint(len(hits), (count,), generator=generator)]
    view, pixel = chosen // size**2, chosen % size**2
    corner = torch.stack([pixel // size, pixel % size], -1)
    corner = (torch.div(corner - offset, patch, rounding_mode="floor") * patch + offset).clamp(0, size - patch)
    inside = torch.arange(patch)
    rows, columns = corner[:, 0, None] + inside, corner[:, 1, None] + inside
    return view, (rows[:, :, None] * size + columns[:, None, :]).flatten(1)


def start_from(coarse: DenseScene, resolution: int, settings) -> SparseField:
    """The high-resolution field that renders what the coarse scene renders: upsampled features, copied decoder."""
    threshold = settings.rendering.empty_density
    occupancy = occupancy_of(coarse.field, resolution, threshold, grow=1)[0]
    # lookups next to an occupied voxel need its neighbours' features too
    grid = SparseGrid.from_dense(coarse.field.grid.float(), dilate(occupancy, 1), settings.volume.extent)
    return SparseField(grid, copy.deepcopy(coarse.field.decoder), occupancy)


def distil(
    scene: SuperResolvedScene, cameras: Cameras, bank: Tensor, settings, seed: int, state: Path, stamp: str
) -> SparseScene:
    """Fit a high-resolution field to a bank of hypotheses.

    cameras: V of them. bank (V, K, 3, S, S) in [0, 1]: K super-resolved images per camera. settings: sections
    `distillation`, `volume`, `rendering`, `superresolution`. Goes on from the folder `state` where it holds an
    unfinished optimisation; raises UserError when that one's stamp differs.
    """
    distillation = settings.distillation
    prepared = {"cameras": cameras, "bank": bank, "low": scene.render_low(cameras), "network": scene.network}
    prepared["candidates"] = _candidates(prepared["low"], bank)
    prepared["colours"] = bank.permute(0, 3, 4, 1, 2).flatten(0, 2)  # a pixel's hypotheses side by side: (V S S, K, 3)
    if not prepared["candidates"].any():
        say(f"seed {seed}: the coarse scene is empty; left as it is")
        return SparseScene(start_from(scene.coarse, distillation.resolution, settings), settings)
    if distillation.mode == "fast":
        used = bank[:, :1] if distillation.loss == "mse" else bank
        field = painted(scene.coarse, cameras, used.mean(1), prepared["candidates"], settings)
    else:
        field = start_from(scene.coarse, distillation.resolution, settings)
    optimiser = torch.optim.Adam(
        [
            {"params": [field.grid.values], "lr": distillation.learning_rate},
            {"params": list(field.decoder.parameters()), "lr": distillation.decoder_rate},
        ],
        betas=(0.9, 0.99),
        eps=distillation.gradient_floor,
    )
    step_loss = _score_distillation if distillation.loss == "sds" else _patch_loss
    optimised = nn.ModuleList([field.grid, field.decoder])
    done, _ = load_state(state, stamp, optimised, optimiser)
    for step in range(done, distillation.steps):
        for group, rate in zip(
            optimiser.param_groups, (distillation.learning_rate, distillation.decoder_rate), strict=True
        ):
            group["lr"] = rate * min(1.0, 2.0 * (1 - step / distillation.steps))
        loss = step_loss(field, prepared, settings, generator_for("distil", seed, step))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if (step + 1) % distillation.checkpoint_every == 0:
            save_state(state, stamp, step + 1, distillation.steps, 0.0, optimised, optimiser)
    shutil.rmtree(state, ignore_errors=True)
    return SparseScene(field, settings)


def _candidates(low: Tensor, bank: Tensor) -> Tensor:
    """Pixels (V, S, S) that show the object in the coarse scene (V, 4, s, s) or in any hypothesis (V, K, 3, S, S)."""
    shown = F.interpolate(support_of(low).float(), size=bank.shape[-2:], mode="nearest")[:, 0] > 0
    return (shown | (bank.amin((1, 2)) < 0.95)).cpu()


def _render(field: SparseField, origins: Tensor, directions: Tensor, settings, generator: torch.Generator) -> Tensor:
    with autocast(origins.device, settings.volume.precision):
        rendered = render_rays(
            field,
            origins,
            directions,
            settings.volume.extent,
            settings.distillation.samples,
            0,
            generator,
        )
    return rendered.rgb


def _render_many(
    field: SparseField, origins: Tensor, directions: Tensor, settings, generator: torch.Generator
) -> Tensor:
    """The same in parts, each rendered again when its gradient is due: a whole view's activations would fill a GPU."""

    def part(rays: Tensor, seed: int) -> Tensor:
        own = torch.Generator().manual_seed(seed)  # so that the second rendering draws what the first one drew
        return _render(field, origins[:, rays], directions[:, rays], settings, own)

    parts = torch.arange(origins.shape[1], device=origins.device).split(RAYS_OF_A_PART)
    seeds = torch.randint(2**62, (len(parts),), generator=generator).tolist()
    return torch.cat(
        [checkpoint(part, rays, seed, use_reentrant=False) for rays, seed in zip(parts, seeds, strict=True)], 1
    )


def _patch_loss(field: SparseField, prepared: dict, settings, generator: torch.Generator) -> Tensor:
    """Patch-remix on random patches; with loss "mse" only the first hypothesis of each view counts."""
    distillation, bank = settings.distillation, prepared["bank"]
    size, patch = bank.shape[-1], distillation.patch
    view, pixels = lattice_patches(distillation.patches, size, patch, prepared["candidates"], generator)
    origins, directions = prepared["cameras"][view].rays(size, pixels.to(bank.device))
    render = _render(field, origins.reshape(1, -1, 3), directions.reshape(1, -1, 3), settings, generator)
    used = 1 if distillation.loss == "mse" else bank.shape[1]
    rows = (view[:, None] * size**2 + pixels).flatten().to(bank.device)
    targets = (
        prepared["colours"].index_select(0, rows).reshape(len(view), -1, bank.shape[1], 3).transpose(1, 2)[:, :used]
    )
    return top_k_error(render.reshape(len(view), -1, 3), targets, min(distillation.top_k, used))


def _score_distillation(field: SparseField, prepared: dict, settings, generator: torch.Generator) -> Tensor:
    """Score distillation (Poole et al. 2022) with super-resolution as the guide, one view per step, in sharpening's window.

    For a denoiser of the clean image the score difference is (x - x_0) times signal / noise; with the usual weight
    noise^2 the pixel gradient is signal * noise * (x - x_0), and the prediction x_0 is held fixed. Like patch-remix, the
    error is a mean over rendered pixels, so that `gradient_floor` means the same for both.
    """
    distillation, network, size = settings.distillation, prepared["network"], prepared["bank"].shape[-1]
    view = torch.randint(len(prepared["cameras"]), (1,), generator=generator)
    pixels = prepared["candidates"][view].flatten().nonzero().squeeze(1).to(prepared["bank"].device)
    origins, directions = prepared["cameras"][view].rays(size, pixels)
    render = _render_many(field, origins, directions, settings, generator)
    white = torch.ones(1, size * size, 3, device=render.device)
    image = white.index_copy(1, pixels, render).transpose(1, 2).unflatten(2, (size, size)) * 2 - 1
    inside_low, inside = network.windows(prepared["low"], size)
    low, image = prepared["low"][view][inside_low], image[inside]
    steps = network.schedule.steps
    least, most = round(distillation.sds_noise_min * steps), round(distillation.sds_noise_max * steps)
    t = torch.randint(least, most, (1,), generator=generator)
    with torch.no_grad():
        noise = torch.randn(image.shape, generator=generator).to(image.device)
        predicted = network(network.schedule.add_noise(image, noise, t), t, low).clamp(-1, 1)
        signal, spread = network.schedule.signal_and_noise(t, image)
    return 0.5 * (signal * spread * (image - predicted).square()).sum() / (3 * max(1, len(pixels)))
