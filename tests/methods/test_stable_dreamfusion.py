"""The rows that load Stable Diffusion, on a tiny pipeline with random weights that the tests save themselves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.data.prepared import PreparedCategory
from holofusion.methods import mesh_distillation
from holofusion.methods.base import TrainingInputs
from holofusion.methods.magic3d import StableMagic3D
from holofusion.methods.stable_dreamfusion import VIEWS, StableDiffusionGuide, load_pipeline, view_number
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.files import load_scene
from holofusion.utils.files import UserError
from holofusion.utils.random import generator_for
from tests.jobs import do
from tests.sections import sections

CPU = torch.device("cpu")
WIDTH, TOKENS = 16, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A Stable Diffusion pipeline in the real folder format: text encoder, tokenizer, image encoder, U-Net, scheduler."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    out = tmp_path_factory.mktemp("pipeline")
    words = [*map(chr, range(ord("a"), ord("z") + 1)), ",", "<|startoftext|>", "<|endoftext|>"]
    words += [f"{word}</w>" for word in words[:27]]
    (out / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (out / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(out / "vocab.json"), str(out / "merges.txt"), model_max_length=TOKENS)
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=27,
        eos_token_id=28,
        pad_token_id=28,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    pipeline = StableDiffusionPipeline(
        vae,
        CLIPTextModel(text),
        tokenizer,
        unet,
        DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(out)
    return out


def guide_with(folder: Path, guidance: float) -> StableDiffusionGuide:
    noise = SimpleNamespace(noise_min=0.02, noise_max=0.98)
    section = SimpleNamespace(guidance=guidance, image_size=16)
    words = torch.arange(1.0 + len(VIEWS))[:, None, None].expand(-1, TOKENS, WIDTH)
    return StableDiffusionGuide(load_pipeline(folder), words, noise, section)


class KnownNoise(torch.nn.Module):
    """In place of the U-Net: predicts the noise that was really added, plus a constant for each text it is told."""

    def __init__(self, guide, latents, offset: float) -> None:
        super().__init__()
        self.guide, self.latents, self.offset, self.told = guide, latents, offset, None

    def forward(self, noisy, t, encoder_hidden_states):
        abar = self.guide.abar[t].reshape(-1, 1, 1, 1)
        noise = (noisy - abar.sqrt() * self.latents.repeat(2, 1, 1, 1)) / (1 - abar).sqrt()
        self.told = encoder_hidden_states[:, 0, 0]
        half = len(t) // 2
        shift = torch.cat([torch.zeros(half), torch.full((half,), self.offset)]).reshape(-1, 1, 1, 1)
        self.weight = 1 - abar[:half]
        told = noise + shift
        if self.guide.pipeline.scheduler.config.prediction_type == "v_prediction":
            told = (told - (1 - abar).sqrt() * noisy) / abar.sqrt()
        return SimpleNamespace(sample=told)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_gradient_is_the_weighted_error_of_the_guided_noise(folder, prediction) -> None:
    guide, cameras = guide_with(folder, guidance=7.0), turntable(3, 20.0, 4.0, 3.0)
    guide.pipeline.scheduler.register_to_config(prediction_type=prediction)
    images = torch.rand(3, 3, 16, 16, generator=generator_for("test")).requires_grad_()
    latents = guide.encode(images)
    for offset in (0.0, 0.25):
        guide.pipeline.unet = KnownNoise(guide, latents.detach(), offset)
        (found,) = torch.autograd.grad(guide.error(images, cameras, generator_for("noise")), images)
        # the true noise plus 7 * 0.25, weighted, pulled back through the image encoder
        pulled = guide.pipeline.unet.weight * 7.0 * offset * torch.ones_like(latents) / latents[:, :1].numel()
        (expected,) = torch.autograd.grad(latents, images, pulled, retain_graph=True)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert guide.pipeline.unet.told.tolist() == [0, 0, 0, *(1 + view_number(cameras)).tolist()]


def test_views_have_names() -> None:
    around = [VIEWS[number] for number in view_number(turntable(4, 20.0, 4.0, 3.0))]
    assert around == ["front view", "side view", "back view", "side view"]
    assert [VIEWS[number] for number in view_number(turntable(2, 75.0, 4.0, 3.0))] == ["overhead view"] * 2


def test_a_folder_that_is_no_pipeline_is_named(tmp_path, folder) -> None:
    with pytest.raises(UserError, match="stable_dreamfusion.folder: .* holds no model_index.json"):
        load_pipeline(tmp_path)
    (tmp_path / "model_index.json").write_text((folder / "model_index.json").read_text())
    with pytest.raises(UserError, match="stable_dreamfusion.folder: .* not a Stable Diffusion pipeline"):
        load_pipeline(tmp_path)


def test_noise_of_the_second_stage_stays_within_its_limits(prepared_smoke, folder, monkeypatch) -> None:
    changes = dict(stable_dreamfusion={"folder": str(folder), "image_size": 16})
    made = sections(**changes)
    method = StableMagic3D(*(made[name] for name in ("volume", "sds", "stable_dreamfusion", "magic3d")))
    method.prepare(TrainingInputs(PreparedCategory.load(prepared_smoke)))
    unet, asked = method.pipeline.unet, []

    def told(noisy, t, **words):
        asked.append((stage[-1], t / 1000))
        return unet(noisy, t, **words)

    stage = ["field"]
    start = mesh_distillation.start_from
    monkeypatch.setattr(mesh_distillation, "start_from", lambda *given: stage.append("mesh") or start(*given))
    method.pipeline.unet = told
    for seed in range(8):
        stage.append("field")
        assert len(method.sample(SampleRequest(seed)).faces)
    times = {name: torch.cat([t for part, t in asked if part == name]) for name in ("field", "mesh")}
    assert 0.02 <= times["mesh"].min() <= times["mesh"].max() < 0.5 < times["field"].max()


@pytest.mark.parametrize(("row", "kind"), [("stable_dreamfusion", "voxel"), ("stable_magic3d", "painted_mesh")])
def test_from_folder_to_scene(project, edit, prepared_smoke, folder, tmp_path, row, kind) -> None:
    name = f"{row}-hydrant-s0"
    edit(
        project,
        "config/smoke.yaml",
        methods=[row],
        stable_dreamfusion={"folder": str(folder), "image_size": 16, "guidance": 7.0},
    )
    write_resolved(load_params(project / "params.yaml", "smoke"), project / "results")
    do(project / "results", "train", name, tmp_path / "model", data=prepared_smoke)
    facts = json.loads((tmp_path / "model/model.json").read_text())
    assert (facts["steps"], facts["images"], facts["seconds"]) == (0, 0, 0)
    do(project / "results", "sample", name, tmp_path / "scenes", model=tmp_path / "model")
    scenes = [load_scene(tmp_path / f"scenes/{seed:06d}", CPU)[0] for seed in (0, 1)]
    assert [scene.kind for scene in scenes] == [kind, kind]
    views = [scene.render(turntable(1, 20.0, 4.0, 3.0), 24).rgb for scene in scenes]
    assert torch.isfinite(torch.stack(views)).all() and not torch.equal(*views)
