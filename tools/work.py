"""Pieces of a run's work, of any preset, ready to be done once: a micro-batch of a training, a denoising step, a view.

Networks are untrained, images random; scenes are a ball of radius 0.6, without which untrained ones would be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from holofusion.cameras import Cameras, turntable
from holofusion.codes.decoder import CodeDecoder
from holofusion.codes.training import DecoderTraining, tuned_code
from holofusion.config.params import Params
from holofusion.config.sampling import Distillation
from holofusion.data.batches import ViewBatch
from holofusion.diffusion.linear import LinearDenoiser
from holofusion.methods.base import TrainingInputs, WarmupResult, construct
from holofusion.methods.closed_form import LocalSamples, estimate_at, takes_local
from holofusion.methods.code_fusion import CodeFusion
from holofusion.methods.code_scenes import plain_scene
from holofusion.methods.distillation import Targets, _patch_loss, distil, start_from
from holofusion.methods.holodiffusion import HoloDiffusion, photometric_error
from holofusion.methods.holofusion import HoloFusion, coarse_facts
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.pairs import VIEWS
from holofusion.methods.superresolution import SuperResolution, SuperResolvedFacts, SuperResolvedScene
from holofusion.networks.render_mlp import RenderMLP
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import ROWS
from holofusion.pipeline.resolve import settings_for
from holofusion.reconstruction.photographs import Photographs
from holofusion.rendering.grids import DenseField, voxel_centres
from holofusion.rendering.plain import PlainField
from holofusion.scenes.voxel import SparseVoxelScene, VoxelScene
from holofusion.training.base import Trainable

Work = Callable[[], object]
RADIUS = 0.6  # of the ball
OBJECTS = 500  # of a category: HoloDiffusion's limit
NAMES = "abcdefghijklmnop"  # of the objects of a batch


def settings_of(preset: str, method: str | None = None, **changes: dict) -> Params:
    """A preset as a method sees it, with some keys of some sections changed."""
    params = load_params(Path(__file__).parents[1] / "params.yaml", preset)
    content = settings_for(params, method)
    changing = {
        "fast",
        "over_codes",
        *(name for name, row in ROWS.items() if row.changes),
    }  # change others; done already
    sections = {
        name: type(getattr(params, name)).model_validate(values | changes.get(name, {}))
        for name, values in content.items()
        if isinstance(values, dict) and name not in changing
    }
    return params.model_copy(update=sections)


def cameras(count: int) -> Cameras:
    """Cameras that the ball fills three quarters of the width of, as CO3D's crop does."""
    return turntable(count, 20.0, 5.0, 6.25)


def batch_of(params: Params, objects: int, views: int) -> ViewBatch:
    """Photographs of objects named a, b, ...: noise on a disc."""
    size = params.dataset.image_size
    row = torch.linspace(-1, 1, size)
    disc = (row[:, None] ** 2 + row[None] ** 2 < 0.5).float().expand(objects, views, 1, size, size)
    images = 1 - disc * torch.rand(objects, views, 3, size, size)
    return ViewBatch(list(NAMES[:objects]), images, disc, cameras(objects * views))


def first_loss(method: Trainable, params: Params, device: torch.device | str = "cpu") -> Callable[[], Tensor]:
    """The loss of a training's first micro-batch: forward alone."""
    batch = batch_of(params, method.objects_per_batch, method.views_per_object)
    images, masks = batch.images.to(device), batch.masks.to(device)
    batch = ViewBatch(batch.names, images, masks, batch.cameras.to(device))
    return lambda: method.training_step(batch, 0, torch.Generator().manual_seed(0))["loss"]


def training(method: Trainable, params: Params, device: torch.device | str = "cpu") -> Work:
    """One micro-batch: forward, backward, optimiser."""
    loss = first_loss(method, params, device)
    optimiser = torch.optim.Adam(method.parameter_groups(), foreach=True)  # as torch chooses on a GPU, on any device

    def step() -> None:
        loss().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def family(params: Params, objects: int = 3, device: torch.device | str = "cpu") -> HoloFusion:
    """HoloFusion's joint training, or with the settings of the row without the bootstrap that one, on so many objects."""
    method = construct(HoloFusion, dict(params)).to(device)
    grids = torch.randn(objects, *method.coarse.mean.shape)
    warmup = WarmupResult(grids.to(device), method.coarse.decoder.state_dict())
    method.prepare(TrainingInputs(SimpleNamespace(train=range(objects), folder=None), warmup))
    method.names = {name: row % objects for row, name in enumerate(NAMES)}
    return method


def code_fusion(params: Params, objects: int, device: torch.device | str = "cpu") -> CodeFusion:
    """The training over codes, as on so many objects; estimates and renders are random numbers of the right shapes."""
    method = construct(CodeFusion, dict(params)).to(device)
    estimates, shape = method.estimates, method.space.shape
    estimates.codes = torch.randn(objects, *shape).half().to(device)
    estimates.folds = [LinearDenoiser(shape, params.estimates.rank).to(device) for _ in range(params.estimates.folds)]
    estimates.chosen = torch.tensor([[9.0, 1.0, 1.0]]).expand(estimates.chosen.shape).contiguous().to(device)
    method.rows = {name: row % objects for row, name in enumerate(NAMES)}
    size, low_size = params.dataset.image_size, params.superresolution.low_size
    low = torch.zeros(objects * VIEWS, 4, low_size, low_size, dtype=torch.half, device=device)

    def crops(count: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        part = low[:count, ..., : side * low_size // size, : side * low_size // size]
        return torch.rand(count, 3, side, side, generator=generator).to(device), part.float()

    method.pairs = SimpleNamespace(crops=crops)
    return method


def decoder_training(params: Params, device: torch.device | str = "cpu") -> DecoderTraining:
    """The training of the codes' decoder."""
    decoder = ball_decoder(params).to(device)
    objects = params.codes.objects
    codes = decoder.code.encode(ball_grid(params).to(device)).expand(objects + 1, -1, -1, -1, -1)
    codes = codes + 0.01 * torch.randn(codes.shape).to(device)
    return DecoderTraining(decoder, params.codes, codes, list(NAMES[: objects + 1]))


def ball_grid(params: Params) -> Tensor:
    """The ball as a plain grid (1, 4, n, n, n)."""
    side = params.reconstruction.resolution
    inside = 40 * (RADIUS - voxel_centres(side, 1.0).norm(dim=1)).reshape(1, 1, side, side, side)
    return torch.cat([inside.clamp(-8, 8), torch.randn(1, 3, side, side, side)], 1)


def ball_decoder(params: Params) -> CodeDecoder:
    decoder = construct(CodeDecoder, dict(params)).requires_grad_(False)
    decoder.code.fit(ball_grid(params))
    return decoder.requires_grad_(True)


def photographs(params: Params) -> Photographs:
    batch = batch_of(params, 1, min(params.synthetic.views, params.dataset.max_frames))
    return Photographs(batch.images[0], batch.masks[0], batch.cameras)


def reconstruction_step(params: Params) -> Work:
    """A step on one object's grid, at full resolution, that knows its empty space."""
    grid, seen, section = ball_grid(params).requires_grad_(), photographs(params), params.reconstruction
    optimiser, generator = torch.optim.Adam([grid], fused=True), torch.Generator().manual_seed(0)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        seen.error(PlainField.skipping(grid), section.rays, section.samples, generator).backward()
        optimiser.step()

    return step


def code_tuning(params: Params, steps: int) -> Work:
    """Steps on one object's code."""
    decoder, section = (
        ball_decoder(params).requires_grad_(False),
        params.codes.model_copy(update={"tuned_steps": steps}),
    )
    code, seen = decoder.code.encode(ball_grid(params)), photographs(params)
    deviation = torch.ones(1, code.shape[1], 1, 1, 1)
    return lambda: tuned_code(decoder, code, deviation, seen, section, "a")


def refinement(params: Params) -> Work:
    """A step of sharpening one object's grid of features."""
    volume, views = params.volume, params.refinement.views
    grid = torch.randn(1, volume.features, *[volume.resolution] * 3, requires_grad=True)
    batch, field = batch_of(params, 1, views), DenseField(grid, coarse_scene(params).field.decoder, volume.extent)
    generator = torch.Generator().manual_seed(0)
    return lambda: photometric_error(field, batch, params.warmup.rays, params.rendering, volume.precision, generator)[
        0
    ].backward()


def coarse_scene(params: Params) -> VoxelScene:
    """The ball as a grid of features, dense through the first of them."""
    volume = params.volume
    decoder = RenderMLP(volume.features, volume.decoder_width, volume.density_scale)
    grid = torch.randn(1, volume.features, *[volume.resolution] * 3)
    inside = RADIUS - voxel_centres(volume.resolution, volume.extent).norm(dim=1)
    grid[:, 0] = 40 * inside.reshape(grid.shape[2:])
    with torch.no_grad():
        decoder.layers[-1].weight[0] = 0
        decoder.skip.weight[0] = torch.eye(volume.features)[0]
    return VoxelScene(grid, decoder, coarse_facts(volume, params.rendering))


def scene_for(method: str, params: Params) -> VoxelScene:
    """The ball as a row's samples from noise are."""
    if ROWS[method].over_codes:
        return plain_scene(ball_grid(params), params.reconstruction)
    return coarse_scene(params)


def fused_scene(method: str, params: Params) -> SparseVoxelScene:
    coarse = scene_for(method, params)
    facts = coarse.facts.model_copy(update={"coarse_samples": params.distillation.samples})
    return SparseVoxelScene(start_from(coarse, params.distillation.resolution), facts)


def superresolved_scene(method: str, params: Params, **sampling: int) -> SuperResolvedScene:
    """Of the one from noise, with some keys of superresolution_sampling changed."""
    coarse, network = scene_for(method, params), SuperResolution(params.superresolution, params.volume.precision)
    facts = SuperResolvedFacts(
        coarse=coarse.facts,
        superresolution=params.superresolution,
        superresolution_sampling=params.superresolution_sampling.model_copy(update=sampling),
        seed=0,
    )
    return SuperResolvedScene(coarse, network, facts)


def superresolving(method: str, params: Params, count: int) -> Work:
    """One denoising step of `count` images of one camera; their render, one for all steps, is made beforehand."""
    scene = superresolved_scene(method, params, steps=1)
    section = scene.facts.superresolution_sampling
    low = scene.render_low(cameras(1)).expand(count, -1, -1, -1)

    def step() -> None:
        scene.network.superresolve(low, params.dataset.image_size, section, torch.Generator().manual_seed(0))

    return step


def distillation(method: str, params: Params, steps: int) -> Work:
    """So many steps of fusing one scene, from the start."""
    scene, bank, section = to_fuse(method, params, params.distillation.model_copy(update={"steps": steps}))
    return lambda: distil(scene, bank, section)


def to_fuse(
    method: str, params: Params, section: Distillation
) -> tuple[SuperResolvedScene, HypothesisBank, Distillation]:
    size, count = params.dataset.image_size, params.hypotheses.count
    pixels = np.random.default_rng(0).integers(0, 256, (8, count, size, size, 3), np.uint8)
    return superresolved_scene(method, params), HypothesisBank(cameras(8), pixels), section


def fusing_step(method: str, params: Params) -> Work:
    """A step of fusing one scene by patch-remix."""
    scene, bank, section = to_fuse(method, params, params.distillation)
    targets, field = Targets.of(scene, bank), start_from(scene.coarse, section.resolution)
    optimiser = torch.optim.Adam([field.grid.values, *field.decoder.parameters()])

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        _patch_loss(field, targets, section, torch.Generator().manual_seed(0)).backward()
        optimiser.step()

    return step


def denoising(params: Params) -> Work:
    """A denoising step of the published representation."""
    coarse = HoloDiffusion(params.volume, params.denoiser).eval()
    return lambda: coarse.sample_grid(0, 1, "ddpm")


def code_denoising(params: Params, objects: int) -> Work:
    """A denoising step over codes by the network, with the estimates that it corrects."""
    method = code_fusion(params, objects).eval()
    noisy = torch.randn(1, *method.space.shape)
    with torch.no_grad():
        method.estimates._local()  # made once for all steps
    return no_gradients(lambda: method.denoiser(noisy, method.schedule.steps - 1, method.estimates))


def estimate_denoising(params: Params, objects: int, now: int) -> Work:
    """A denoising step by an estimate alone: the linear one, or where `local_below` has it at time step `now`, the local one."""
    method = construct(LocalSamples, dict(params))
    method.estimates.codes = torch.randn(objects, *method.space.shape).half()
    noisy = torch.randn(1, *method.space.shape)
    if takes_local(method.schedule, now, params.code_sampling):
        method.estimates._local()  # made once for all steps
    return no_gradients(lambda: estimate_at(method.estimates, noisy, now, params.code_sampling))


def no_gradients(work: Work) -> Work:
    """The work, done as sampling does it."""
    return torch.no_grad()(work)
