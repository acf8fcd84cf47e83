"""Stage 2: fuse many super-resolved views, several hypotheses each, into one high-resolution radiance field.

Losses (HoloFusion, Karnewar et al., ICCV 2023, stage 2): top-k patch-remix, and the ablations MSE and SDS. Patch-remix:
one random lattice offset per step cuts the render and the hypotheses into patches; each patch of the render is compared
with the k hypotheses nearest to it.
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from holofusion.cameras import Cameras
from holofusion.config.sampling import Distillation
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.least_squares_init import least_squares_init
from holofusion.methods.superresolution import SuperResolution, SuperResolvedScene, support_of
from holofusion.rendering.occupancy import dilate
from holofusion.rendering.rays import Rays
from holofusion.rendering.sparse_grid import SparseField, SparseGrid
from holofusion.rendering.volume import render_rays
from holofusion.scenes.voxel import SparseVoxelScene, VoxelScene
from holofusion.training.checkpoint import load_state, save_state
from holofusion.training.descent import descend
from holofusion.utils.precision import autocast
from holofusion.utils.progress import say
from holofusion.utils.random import generator_for

BACKGROUND = 0.95  # a pixel with no channel below this is background
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


def start_from(coarse: VoxelScene, resolution: int) -> SparseField:
    """The high-resolution field that renders what the coarse scene renders: upsampled features, copied decoder."""
    occupied = coarse.occupied(resolution)
    # lookups next to an occupied voxel need its neighbours' features too
    grid = SparseGrid.from_dense(coarse.field.grid.float(), dilate(occupied, 1), coarse.facts.extent)
    return SparseField(grid, copy.deepcopy(coarse.field.decoder), occupied)


@dataclass(frozen=True)
class Targets:
    """What a field is fitted to: V views of K hypotheses each, at side S.

    bank (V, K, 3, S, S) in [0, 1]; colours (V S S, K, 3): the same, a pixel's hypotheses side by side. low (V, 4, s, s):
    colour and opacity of the coarse scene. candidates (V, S, S) bool, on the CPU: pixels that show the object in the coarse
    scene or in any hypothesis.
    """

    cameras: Cameras
    bank: Tensor
    colours: Tensor
    low: Tensor
    candidates: Tensor
    network: SuperResolution
    precision: str

    @classmethod
    def of(cls, scene: SuperResolvedScene, bank: HypothesisBank) -> Targets:
        """A scene's hypotheses, on its device."""
        cameras, images = bank.cameras.to(scene.device), bank.images(scene.device)
        low = scene.render_low(cameras)
        shown = F.interpolate(support_of(low).float(), size=images.shape[-2:], mode="nearest")[:, 0] > 0
        candidates = (shown | (images.amin((1, 2)) < BACKGROUND)).cpu()
        colours = images.permute(0, 3, 4, 1, 2).flatten(0, 2)
        return cls(cameras, images, colours, low, candidates, scene.network, scene.coarse.facts.precision)


def distil(
    scene: SuperResolvedScene, bank: HypothesisBank, section: Distillation, state: Path | None = None, stamp: str = ""
) -> SparseVoxelScene:
    """Fit a high-resolution field to a scene's bank of hypotheses.

    Goes on from the folder `state`, if one is named, where it holds an unfinished optimisation; raises UserError when
    that one's stamp differs.
    """
    coarse, seed, targets = scene.coarse, scene.facts.seed, Targets.of(scene, bank)
    facts = coarse.facts.model_copy(update={"coarse_samples": section.samples, "importance_samples": 0})
    if not targets.candidates.any():
        say(f"seed {seed}: the coarse scene is empty; left as it is")
        return SparseVoxelScene(start_from(coarse, section.resolution), facts)
    if section.mode == "fast":
        used = targets.bank[:, :1] if section.loss == "mse" else targets.bank
        field = least_squares_init(coarse, targets.cameras, used.mean(1), targets.candidates, section)
    else:
        field = start_from(coarse, section.resolution)
    optimiser = torch.optim.Adam(
        [
            {"params": [field.grid.values], "lr": section.learning_rate},
            {"params": list(field.decoder.parameters()), "lr": section.decoder_rate},
        ],
        betas=(0.9, 0.99),
        eps=section.gradient_floor,
    )
    loss_of = _score_distillation if section.loss == "sds" else _patch_loss
    optimised = nn.ModuleList([field.grid, field.decoder])
    done = load_state(state, stamp, optimised, optimiser)[0] if state else 0

    def loss_at(step: int) -> Tensor:
        return loss_of(field, targets, section, generator_for("distil", seed, step))

    for finished in descend(optimiser, section.steps, loss_at, done):
        if state and finished % section.checkpoint_every == 0:
            save_state(state, stamp, finished, section.steps, 0.0, optimised, optimiser)
    if state:
        shutil.rmtree(state, ignore_errors=True)
    return SparseVoxelScene(field, facts)


def _render(field: SparseField, rays: Rays, samples: int, precision: str, generator: torch.Generator) -> Tensor:
    with autocast(rays.device, precision):
        return render_rays(field, rays, samples, 0, generator).rgb


def _render_many(field: SparseField, rays: Rays, samples: int, precision: str, generator: torch.Generator) -> Tensor:
    """The same in parts, each rendered again when its gradient is due: a whole view's activations would fill a GPU."""

    def part(which: Tensor, seed: int) -> Tensor:
        own = torch.Generator().manual_seed(seed)  # so that the second rendering draws what the first one drew
        return _render(field, rays[which], samples, precision, own)

    parts = torch.arange(rays.shape[1], device=rays.device).split(RAYS_OF_A_PART)
    seeds = torch.randint(2**62, (len(parts),), generator=generator).tolist()
    return torch.cat(
        [checkpoint(part, which, seed, use_reentrant=False) for which, seed in zip(parts, seeds, strict=True)], 1
    )


def _patch_loss(field: SparseField, targets: Targets, section: Distillation, generator: torch.Generator) -> Tensor:
    """Patch-remix on random patches; with loss "mse" only the first hypothesis of each view counts."""
    bank, patch = targets.bank, section.patch
    size, count = bank.shape[-1], bank.shape[1]
    view, pixels = lattice_patches(section.patches, size, patch, targets.candidates, generator)
    rays = Rays.through(targets.cameras[view], size, pixels.to(bank.device, non_blocking=True)).shared_among(1)
    render = _render(field, rays, section.samples, targets.precision, generator)
    used = 1 if section.loss == "mse" else count
    rows = (view[:, None] * size**2 + pixels).flatten().to(bank.device, non_blocking=True)
    colours = targets.colours.index_select(0, rows).reshape(len(view), -1, count, 3).transpose(1, 2)[:, :used]
    return top_k_error(render.reshape(len(view), -1, 3), colours, min(section.top_k, used))


def _score_distillation(
    field: SparseField, targets: Targets, section: Distillation, generator: torch.Generator
) -> Tensor:
    """Score distillation (Poole et al. 2022) with super-resolution as the guide, one view per step, in sampling's window.

    For a denoiser of the clean image the score difference is (x - x_0) alpha / sigma; with the usual weight sigma^2 the
    pixel gradient is alpha sigma (x - x_0), and the prediction x_0 is held fixed. Like patch-remix, the error is a mean
    over rendered pixels, so that `gradient_floor` means the same for both.
    """
    network, size = targets.network, targets.bank.shape[-1]
    view = torch.randint(len(targets.cameras), (1,), generator=generator)
    pixels = targets.candidates[view].flatten().nonzero().squeeze(1).to(targets.bank.device, non_blocking=True)
    rays = Rays.through(targets.cameras[view], size, pixels)
    render = _render_many(field, rays, section.samples, targets.precision, generator)
    white = torch.ones(1, size * size, 3, device=render.device)
    image = white.index_copy(1, pixels, render).transpose(1, 2).unflatten(2, (size, size)) * 2 - 1
    inside_low, inside = network.windows(targets.low, size)
    low, image = targets.low[view][inside_low], image[inside]
    steps = network.schedule.steps
    least, most = round(section.sds_noise_min * steps), round(section.sds_noise_max * steps)
    t = torch.randint(least, most, (1,), generator=generator)
    with torch.no_grad():
        noise = torch.randn(image.shape, generator=generator).to(image.device, non_blocking=True)
        predicted = network(network.schedule.add_noise(image, noise, t), t, low).clamp(-1, 1)
        alpha, sigma = network.schedule.alpha_and_sigma(t, image)
    return 0.5 * (alpha * sigma * (image - predicted).square()).sum() / (3 * max(1, len(pixels)))
