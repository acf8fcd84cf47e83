"""HoloFusion over codes, fused feed-forward: a network makes the fine grid of a scene's hypotheses in one pass.

The papers name it as future work; how it is done here is ours. Weights, coarse scenes and hypotheses are those of a finished
training of HoloFusion over codes. What the network is trained on is what it will meet: hypotheses of training objects, drawn by
that training's super-resolution from codes that were noised and denoised. What it is held to are the objects' photographs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.config.codes import CodeDenoiser, Codes, CodeSampling, CodeTraining, EstimatesSection, Reconstruction
from holofusion.config.params import SuperResolutionSection, Volume
from holofusion.config.sampling import FeedForward, Hypotheses, SuperResolutionSampling
from holofusion.data.batches import ViewBatch, draw_views, pick_pixels, take_pixels
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs
from holofusion.methods.code_fusion import CodeFusion
from holofusion.methods.code_scenes import plain_scene
from holofusion.methods.distillation import start_from
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.pairs import denoised_grid
from holofusion.methods.superresolution import SuperResolvedScene
from holofusion.networks.view_fusion import ViewFusion, neighbours_of
from holofusion.rendering.grids import sample_grid, voxel_centres
from holofusion.rendering.rays import Rays
from holofusion.rendering.sparse_grid import SparseField, SparseGrid
from holofusion.rendering.unprojection import Depths, Observations, unproject
from holofusion.rendering.volume import render_rays
from holofusion.scenes.voxel import SparseVoxelScene, VoxelScene
from holofusion.utils.files import UserError
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for

REACH = 3  # voxels from the surface that a view shows within which what it shows counts
OWN = "fusion."  # before the names of the weights that are trained


@dataclass(frozen=True)
class Unfused:
    """What fusion starts from: the fine field that renders what the coarse scene renders, and what the views show of it.

    voxels (R,): those of the field's voxels that some view shows, as flat indices; views: what hypotheses add, there, to the
    coarse scene's colours.
    """

    field: SparseField
    voxels: Tensor
    views: Observations

    @classmethod
    @torch.no_grad()
    def of(cls, coarse: VoxelScene, bank: HypothesisBank, section: FeedForward) -> Unfused:
        """Of a coarse scene, a plain grid, and its hypotheses."""
        field, device = start_from(coarse, section.resolution), coarse.field.grid.device
        side = 2 * field.extent / section.resolution
        voxels = field.grid.index.flatten().nonzero().squeeze(1)
        points = voxel_centres(section.resolution, field.extent).to(device)[voxels]
        cameras = bank.cameras.to(device)
        seen = coarse.render(cameras, bank.pixels.shape[2])
        depths = Depths(cameras, seen.alpha, seen.depth)
        normals = normals_of(coarse, points, side)
        added = bank.images(device) - seen.rgb[:, None]
        views = unproject(points, normals, added, depths, section.views, REACH * side)
        shown = views.seen.any(1).nonzero().squeeze(1)
        return cls(field, voxels[shown], views[shown])


def normals_of(scene: VoxelScene, points: Tensor, step: float) -> Tensor:
    """Unit vectors (R, 3) at points (R, 3) of a plain grid, along which the density falls; differences over `step` each way."""
    steps = step * torch.eye(3, device=points.device)
    places = torch.cat([points + each for each in (*steps, *-steps)])
    density = sample_grid(scene.field.grid[:, :1], places[None], scene.facts.extent)[0, :, 0].reshape(2, 3, -1)
    return F.normalize((density[1] - density[0]).T, dim=1)


class FeedForwardFusion(CodeFusion):
    """A finished training of HoloFusion over codes, none of whose weights change, and the network that fuses its hypotheses.

    code_sampling: read in sampling alone, where scenes from noise are asked for.
    """

    def __init__(
        self,
        volume: Volume,
        reconstruction: Reconstruction,
        codes: Codes,
        estimates: EstimatesSection,
        code_denoiser: CodeDenoiser,
        code_training: CodeTraining,
        superresolution: SuperResolutionSection,
        superresolution_sampling: SuperResolutionSampling,
        hypotheses: Hypotheses,
        feedforward: FeedForward,
        code_sampling: CodeSampling | None = None,
    ) -> None:
        super().__init__(
            volume,
            reconstruction,
            codes,
            estimates,
            code_denoiser,
            code_training,
            superresolution,
            code_sampling,
            superresolution_sampling,
            hypotheses,
        )
        self.requires_grad_(False)
        self.feedforward, self.fusion = feedforward, ViewFusion(feedforward.width)
        self.views_per_object, self.objects_per_batch = feedforward.photographs, 1
        self.steps, self.ema = feedforward.steps, feedforward.ema
        self.checkpoint_every = feedforward.checkpoint_every
        self.data: PreparedCategory | None = None
        self.examples: dict[str, Unfused] = {}

    def prepare(self, inputs: TrainingInputs) -> None:
        """Take over the finished training, and draw hypotheses of training objects.

        Raises UserError where it is missing, or is one of other settings or data.
        """
        self.take_over(inputs)
        known = len(inputs.data.train)
        count = min(self.feedforward.objects, known)
        progress, self.data = Progress("examples", count), inputs.data
        for number in (place * known // count for place in range(count)):
            name = inputs.data.train[number]
            generator = generator_for("feedforward", name)
            strongest = self.superresolution_section.render_noise_max
            grid = denoised_grid(self.space, self.estimates, number, strongest, generator)
            scene = self.superresolve(plain_scene(grid, self.reconstruction), number)
            bank = self.draw_hypotheses(scene, inputs.data.evaluation_cameras, inputs.data.image_size)
            self.examples[name] = Unfused.of(scene.coarse, bank, self.feedforward)
            progress.advance()

    def take_over(self, inputs: TrainingInputs) -> None:
        """Load the weights of the finished training. Raises UserError where they are missing or do not fit."""
        if inputs.base is None:
            raise UserError("--base: this method takes over a finished training; name its folder, results/runs/RUN")
        try:
            missing, unknown = self.load_state_dict(inputs.base, strict=False)
        except RuntimeError as error:
            missing, unknown = [str(error).splitlines()[-1].strip()], []
        if strange := [name for name in (*missing, *unknown) if not name.startswith(OWN)]:
            raise UserError(f"--base: not the weights of HoloFusion over codes with these settings ({strange[0]})")
        if len(self.estimates.codes) != len(inputs.data.train):
            raise UserError(
                f"--base: trained on {len(self.estimates.codes)} objects, the data has {len(inputs.data.train)}; train it anew"
            )

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.fusion.parameters()), "lr": self.feedforward.learning_rate}]

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared error of renders of one object's fused scene against its photographs.

        The batch is of any object; hypotheses are there of some, of which one is drawn.
        """
        assert self.data is not None, "prepare() comes before training"
        section, names = self.feedforward, list(self.examples)
        name = names[int(torch.randint(len(names), (1,), generator=generator))]
        field = self.fused_field(self.examples[name])
        seen = draw_views(self.data, [name], section.photographs, generator, batch.images.device)
        images, size = seen.images[0], seen.images.shape[-1]
        pixels = pick_pixels(seen.masks[0], section.rays, generator)
        rays = Rays.through(seen.cameras, size, pixels).shared_among(1)
        rendered = render_rays(field, rays, section.samples, 0, generator).rgb
        return {"loss": (rendered - take_pixels(images, pixels).reshape(rendered.shape)).square().mean()}

    def fused_field(self, start: Unfused) -> SparseField:
        """The fine field after the network's pass, whose gradients reach the network."""
        grid, size = start.field.grid, self.feedforward.resolution
        table = torch.zeros_like(grid.index.flatten())
        table[start.voxels] = torch.arange(1, len(start.voxels) + 1, dtype=table.dtype, device=table.device)
        neighbours = neighbours_of(table.reshape(grid.index.shape), start.voxels)
        rows, values = grid.index.flatten()[start.voxels].long(), grid.values.detach()
        changed = self.fusion(values[rows], start.views, neighbours, 2 * grid.extent / size)
        values = values.index_copy(0, rows, changed)
        return SparseField(grid, start.field.decoder, start.field.occupancy.grid, values)

    @torch.no_grad()
    def fuse(
        self, scene: SuperResolvedScene, bank: HypothesisBank, state: Path | None = None, stamp: str = ""
    ) -> SparseVoxelScene:
        """One high-resolution scene of a bank of hypotheses, in one pass: nothing is ever unfinished."""
        field = self.fused_field(Unfused.of(scene.coarse, bank, self.feedforward))
        assert field.values is not None
        whole = SparseField(
            SparseGrid(field.grid.index, field.values, field.extent), field.decoder, field.occupancy.grid
        )
        samples = {"coarse_samples": self.feedforward.samples, "importance_samples": 0}
        return SparseVoxelScene(whole, scene.coarse.facts.model_copy(update=samples))
