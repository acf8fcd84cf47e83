"""Score distillation from Stable Diffusion: the row `stable_dreamfusion`, for those who have its weights in a folder.

Kept from Stable-DreamFusion: guidance scale, weight 1 - abar, noise range, words for the view added to the prompt, no pass
back through the U-Net, gradient through the image encoder. Departures: the scenes, cameras and step sizes are those of
the row `sds`; renders are upsampled and encoded from the first step on; no lighting, no entropy or orientation terms.
Nothing is trained and nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import ScoreDistillationSection, StableDreamFusionSection
from holofusion.config.params import Volume
from holofusion.methods.base import Method, TrainingInputs
from holofusion.methods.guides import draw_times
from holofusion.methods.poses import CameraPool
from holofusion.methods.sds import POSES, distil_score
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.scenes.voxel import VoxelScene
from holofusion.utils.files import UserError

VIEWS = ("front view", "side view", "back view", "overhead view")
OVERHEAD = 0.866  # sine of the elevation from which a view is called overhead: 60 degrees


def view_number(cameras: Cameras) -> Tensor:
    """Index into VIEWS of every camera (B,): by elevation over +y, then by azimuth from +z in quarter turns."""
    direction = F.normalize(cameras.centers(), dim=1)
    quarter = torch.atan2(direction[:, 0], direction[:, 2]).abs() / (torch.pi / 4)
    level = torch.where(quarter < 1, 0, torch.where(quarter < 3, 1, 2))
    return torch.where(direction[:, 1] > OVERHEAD, 3, level)


def load_pipeline(folder: str | Path | None) -> Any:
    """The Stable Diffusion pipeline saved in `folder`, frozen. Raises UserError when it is none, or without `diffusers`."""
    folder = Path(folder or "")
    if not (folder / "model_index.json").is_file():
        raise UserError(
            f"stable_dreamfusion.folder: {folder}: holds no model_index.json; name a Stable Diffusion folder"
        )
    try:
        from diffusers import StableDiffusionPipeline
    except ImportError as error:
        raise UserError(f"stable_dreamfusion: needs the packages diffusers and transformers ({error})") from None
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            folder, local_files_only=True, safety_checker=None, requires_safety_checker=False, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"stable_dreamfusion.folder: {folder}: not a Stable Diffusion pipeline ({reason})") from None
    for part in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
        part.requires_grad_(False).eval()
    return pipeline


class StableDiffusionGuide:
    """Stable Diffusion, told the prompt and the view. words (1 + views, tokens, width): embeddings, the empty text first."""

    def __init__(
        self,
        pipeline: Any,  # diffusers has no types
        words: Tensor,
        sds: ScoreDistillationSection,
        section: StableDreamFusionSection,
    ) -> None:
        self.pipeline, self.words = pipeline.to(words.device), words
        self.sds, self.section = sds, section
        self.abar = pipeline.scheduler.alphas_cumprod.to(words.device)

    def error(self, images: Tensor, cameras: Cameras, generator: torch.Generator) -> Tensor:
        """A scalar whose gradient in the latents is (1 - abar) (guided noise prediction - noise), over their number."""
        latents = self.encode(images)
        t = draw_times(self.sds, len(self.abar), len(latents), generator).to(latents.device)
        abar = self.abar[t].reshape(-1, 1, 1, 1)
        with torch.no_grad():
            noise = torch.randn(latents.shape, generator=generator).to(latents.device)
            noisy = (abar.sqrt() * latents + (1 - abar).sqrt() * noise).repeat(2, 1, 1, 1)
            words = torch.cat([self.words[:1].expand(len(t), -1, -1), self.words[1 + view_number(cameras)]])
            predicted = self.pipeline.unet(noisy, t.repeat(2), encoder_hidden_states=words).sample
            if self.pipeline.scheduler.config.prediction_type == "v_prediction":
                twice = abar.repeat(2, 1, 1, 1)
                predicted = twice.sqrt() * predicted + (1 - twice).sqrt() * noisy
            plain, told = predicted.chunk(2)
            gradient = (1 - abar) * (plain + self.section.guidance * (told - plain) - noise)
        return (gradient * latents).sum() / latents[:, :1].numel()

    def encode(self, images: Tensor) -> Tensor:
        """Latents (B, c, s, s) of images (B, 3, S, S) in [0, 1], with gradients."""
        size = self.section.image_size
        large = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
        return self.pipeline.vae.encode(large * 2 - 1).latent_dist.mode() * self.pipeline.vae.config.scaling_factor


class StableDreamFusion(Method):
    """Embeddings of the prompt and training cameras; the weights of Stable Diffusion stay in their folder."""

    seed_name = "stable_dreamfusion"
    steps = 0  # nothing is trained
    words: Tensor

    def __init__(
        self, volume: Volume, sds: ScoreDistillationSection, stable_dreamfusion: StableDreamFusionSection
    ) -> None:
        super().__init__()
        self.volume, self.sds, self.section = volume, sds, stable_dreamfusion
        self.pipeline = load_pipeline(stable_dreamfusion.folder)
        width, tokens = self.pipeline.text_encoder.config.hidden_size, self.pipeline.tokenizer.model_max_length
        self.register_buffer("words", torch.zeros(1 + len(VIEWS), tokens, width))
        self.pool = CameraPool(POSES)

    @torch.no_grad()
    def prepare(self, inputs: TrainingInputs) -> None:
        """Embed the prompt, `{category}` filled in, once per view; keep training cameras."""
        prompt = self.section.prompt.replace("{category}", inputs.data.category)
        texts = ["", *(f"{prompt}, {view}" for view in VIEWS)]
        ids = self.pipeline.tokenizer(
            texts, padding="max_length", max_length=self.words.shape[1], truncation=True, return_tensors="pt"
        ).input_ids
        self.words.copy_(self.pipeline.text_encoder(ids)[0])
        self.pool.fill(inputs.data)

    def guide(self, sds: ScoreDistillationSection) -> StableDiffusionGuide:
        """Stable Diffusion, with the noise range of these settings."""
        return StableDiffusionGuide(self.pipeline, self.words, sds, self.section)

    def field(self, seed: int) -> VoxelScene:
        """The scene of one seed, as a field."""
        return distil_score(self.guide(self.sds), self.pool.cameras, self.volume, self.sds, seed)

    def sample(self, request: SampleRequest) -> Scene:
        """The scene of one seed."""
        return self.field(request.seed)
