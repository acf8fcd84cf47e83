"""What grows with each size a user sets: one operation of the program per size, at any value of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.context import DEVICE, Context, changed
from benchmarks.steps import drawn, step_on
from benchmarks.unet import training_step
from holofusion.data.batches import draw_batch
from holofusion.methods.holodiffusion import HoloDiffusion
from holofusion.methods.holofusion import coarse_facts
from holofusion.methods.superresolution import SuperResolvedFacts, SuperResolvedScene
from holofusion.scenes.voxel import VoxelScene
from holofusion.utils.precision import resolve_precision
from holofusion.utils.random import generator_for

Work = Callable[[], object]


@dataclass(frozen=True)
class Operation:
    """what: in words. sizes: at which it is measured. prepare: makes, for a size, the function that does it once."""

    what: str
    sizes: tuple[int, ...]
    prepare: Callable[[Context, int], Work]


def unet_step(context: Context, side: int) -> Work:
    """A training step on one grid of this side."""
    settings = changed(context.training.settings, volume={"resolution": side})
    precision = resolve_precision(DEVICE, settings.volume.precision)
    return training_step(HoloDiffusion(settings.volume, settings.denoiser).unet, settings, 1, precision)[0]


def view(context: Context, size: int) -> Work:
    """A view of this side, of a training object's grid."""
    scene, camera = training_scene(context), context.data.evaluation_cameras[0]
    return lambda: scene.render(camera, size)


def pooling(context: Context, views: int) -> Work:
    """The grids of two objects from so many views each, forward and backward."""
    method = context.warmup_method()
    batch = draw_batch(context.data, 2, views, torch.Generator().manual_seed(0), DEVICE)

    def encode() -> None:
        method.zero_grad(set_to_none=True)
        method.encode(batch).square().mean().backward()

    return encode


def hypotheses(context: Context, count: int) -> Work:
    """So many super-resolved images of one view."""
    settings = context.resolved("hypotheses", context.run.name).settings
    network = context.joint_method(trained=True).superresolution
    coarse, camera = training_scene(context), context.data.evaluation_cameras[0]
    facts = SuperResolvedFacts(
        coarse=coarse.facts,
        superresolution=settings.superresolution,
        superresolution_sampling=settings.superresolution_sampling,
        seed=0,
    )
    scene = SuperResolvedScene(coarse, network, facts)
    size = context.data.image_size
    return lambda: scene.hypotheses(camera, size, count, generator_for(0))


def joint_step(context: Context, batch: int) -> Work:
    """A step of the joint training on so many objects; as many of them are rendered and super-resolved, by share."""
    settings = context.training.settings
    share = batch / settings.training.batch
    settings = changed(
        settings,
        training={"batch": batch, "rendered": max(1, round(share * settings.training.rendered))},
        superresolution={"objects": max(1, round(share * settings.superresolution.objects))},
    )
    method = context.joint_method(settings)
    return step_on(method, drawn(method, context.data, 0))


def training_scene(context: Context) -> VoxelScene:
    """The scene of the first training object's grid."""
    grids = context.warmup_tensors()["grids"]
    settings = context.training.settings
    facts = coarse_facts(settings.volume, settings.rendering)
    return VoxelScene(grids[:1], context.joint_method().coarse.decoder, facts)


OPERATIONS = {
    "grid_size": Operation("training step of the 3D U-Net, one grid", (24, 32, 48, 64), unet_step),
    "image_size": Operation("rendering a view", (32, 64, 128, 256), view),
    "views": Operation("encoder, two objects, forward and backward", (2, 4, 8, 16), pooling),
    "hypotheses": Operation("super-resolving a view", (2, 4, 8, 16), hypotheses),
    "batch": Operation("joint training step", (2, 4, 8), joint_step),
}
