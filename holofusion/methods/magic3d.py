"""Two stages in the style of Magic3D (Lin et al., CVPR 2023): a field by score distillation, then a mesh against a finer prior.

Kept: a field pulled at low resolution, its level set turned into a mesh of tetrahedra that is rasterised at a higher one, the
field's colours taken over, a second prior for these finer images, less noise in the second stage (t within [0.02, 0.5] of the
process), smooth normals.
Departures: Magic3D's priors are eDiff-I and Stable Diffusion, told a text. That of the row `magic3d_sds` are two denoisers of the
category's photographs, told the direction of the camera, so that the row is called Magic3D-style; `stable_magic3d` has Stable
Diffusion in both stages. Fields, cameras and step sizes are those of the row `sds`, with an explicit grid in place of a hash
grid, and a grid of colours in the second stage; no environment map, no lighting; level and weights are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from holofusion.config.baselines import Magic3DSection, ScoreDistillationSection, StableDreamFusionSection
from holofusion.config.params import Volume
from holofusion.data.batches import ViewBatch
from holofusion.methods.guides import DenoiserGuide
from holofusion.methods.mesh_distillation import distil_on_mesh
from holofusion.methods.sds import ScoreDistillation
from holofusion.methods.stable_dreamfusion import StableDreamFusion
from holofusion.scenes.base import SampleRequest, Scene


def finer(sds: ScoreDistillationSection, magic3d: Magic3DSection) -> ScoreDistillationSection:
    """The settings of the second stage's guide: those of the first, for larger images and with less noise.

    The noise schedule moves by as much as an average over so many more pixels lowers noise (Hoogeboom et al. 2023), so that
    equal t leave equally much to be seen.
    """
    shift = -2 * math.log(magic3d.image_size / sds.image_size)
    return sds.model_copy(
        update={
            "image_size": magic3d.image_size,
            "schedule_shift": sds.schedule_shift + shift,
            "noise_min": magic3d.noise_min,
            "noise_max": magic3d.noise_max,
        }
    )


class Magic3DStyle(ScoreDistillation):
    """Two guides, trained together on the category's images at two sizes, and the meshes they make."""

    seed_name = "magic3d_sds"

    def __init__(self, volume: Volume, sds: ScoreDistillationSection, magic3d: Magic3DSection) -> None:
        super().__init__(volume, sds)
        self.magic3d = magic3d
        self.finer = DenoiserGuide(finer(sds, magic3d), volume.precision)

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Both guides' errors on noised images of the batch."""
        coarse = self.guide.training_error(batch, generator)
        fine = self.finer.training_error(batch, generator)
        return {"loss": coarse + fine, "coarse": coarse, "fine": fine}

    def sample(self, request: SampleRequest) -> Scene:
        """The mesh of one seed."""
        self.finer.requires_grad_(False)
        field, cameras = self.field(request.seed), self.pool.cameras
        return distil_on_mesh(self.finer, field, cameras, self.magic3d, self.section.views, request.seed)


class StableMagic3D(StableDreamFusion):
    """Stable Diffusion as the guide of both stages; nothing is trained."""

    seed_name = "stable_magic3d"

    def __init__(
        self,
        volume: Volume,
        sds: ScoreDistillationSection,
        stable_dreamfusion: StableDreamFusionSection,
        magic3d: Magic3DSection,
    ) -> None:
        super().__init__(volume, sds, stable_dreamfusion)
        self.magic3d = magic3d

    def sample(self, request: SampleRequest) -> Scene:
        """The mesh of one seed."""
        field, guide = self.field(request.seed), self.guide(finer(self.sds, self.magic3d))
        return distil_on_mesh(guide, field, self.pool.cameras, self.magic3d, self.sds.views, request.seed)
