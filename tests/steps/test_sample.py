"""One seed, one scene: whatever the shard. And the small pieces around it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from holofusion.cameras import turntable
from holofusion.cameras.spread import spread_cameras
from holofusion.config.row_steps import NoiseSampleSettings
from holofusion.methods.base import build, sections_of
from holofusion.methods.holodiffusion import HoloDiffusion
from holofusion.methods.holofusion import HoloFusion
from holofusion.pipeline.job import Resolved
from holofusion.rendering.images import to_bytes
from holofusion.scenes.files import load_scene
from holofusion.steps.sample import run, shard_seeds
from holofusion.training.model_file import save_model
from holofusion.utils.files import UserError
from tests.jobs import job_of
from tests.sections import sections


@pytest.fixture
def resolved():
    chosen = sections(
        volume=dict(resolution=8, features=8, extent=1.0, decoder_width=8, density_scale=20.0, precision="fp32"),
        rendering=dict(image_size=16, coarse_samples=8, importance_samples=4, occupied_samples=12, empty_density=0.5),
        denoiser=dict(channels=[8, 16], blocks=1, linear_rank=2, noise_steps=10, schedule_shift=-3.0),
        sampling=dict(scenes=8, shards=1, steps=4, sampler="ddpm"),
    )
    settings = NoiseSampleSettings(**{name: chosen[name] for name in NoiseSampleSettings.model_fields})
    return Resolved("sample", "holodiffusion-ball-s0", "holodiffusion", "ball", 0, "0" * 64, settings)


@pytest.fixture
def model(tmp_path, resolved):
    """A random, untrained model: its weights are made large enough for scenes to differ."""
    given = {**sections(superresolution=dict(objects=0)), **dict(resolved.settings)}
    network = build(HoloFusion, given, torch.device("cpu"), 0)
    generator = torch.Generator().manual_seed(0)
    tensors = {k: v + 0.05 * torch.randn(v.shape, generator=generator) for k, v in network.state_dict().items()}
    folder = tmp_path / "model"
    folder.mkdir()
    plain = {name: given[name].model_dump() for name in sections_of(HoloFusion)}
    save_model(folder, network, tensors, "fp32", 0.0, {"settings": plain})
    return folder


def test_a_scene_is_the_same_bytes_alone_and_in_a_shard_of_eight(tmp_path, resolved, model):
    run(job_of(resolved, tmp_path / "one", 0, model=model))
    run(job_of(with_shards(resolved, 8), tmp_path / "eight", 7, model=model))
    assert [path.name for path in (tmp_path / "eight").iterdir()] == ["000007"]
    alone = (tmp_path / "eight/000007/scene.safetensors").read_bytes()
    assert alone == (tmp_path / "one/000007/scene.safetensors").read_bytes()
    assert alone != (tmp_path / "one/000006/scene.safetensors").read_bytes()


def with_shards(resolved: Resolved, shards: int) -> Resolved:
    sampling = resolved.settings.sampling.model_copy(update={"shards": shards})
    return replace(resolved, settings=resolved.settings.model_copy(update={"sampling": sampling}))


def test_a_killed_shard_keeps_its_finished_scenes(tmp_path, resolved, model, monkeypatch):
    made = []
    original = HoloDiffusion.sample_grid

    def counting(self, seed, *rest):
        made.append(seed)
        if len(made) == 4:
            raise KeyboardInterrupt
        return original(self, seed, *rest)

    monkeypatch.setattr(HoloDiffusion, "sample_grid", counting)
    with pytest.raises(KeyboardInterrupt):
        run(job_of(resolved, tmp_path / "out", 0, model=model))
    assert not (tmp_path / "out").exists()
    run(job_of(resolved, tmp_path / "out", 0, model=model))
    assert made == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{seed:06d}" for seed in range(8)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


def test_saved_scenes_render_as_they_were(tmp_path, resolved, model):
    run(job_of(resolved, tmp_path / "out", 0, model=model))
    cameras = turntable(2, 10.0, 5.0, 2.0)
    scene, facts = load_scene(tmp_path / "out/000003", torch.device("cpu"))
    again, _ = load_scene(tmp_path / "out/000003", torch.device("cpu"))
    assert facts["seed"] == 3
    assert torch.equal(scene.render(cameras, 16).rgb, again.render(cameras, 16).rgb)
    assert scene.surface(8).vertices.shape[1] == 3


def test_shards_share_out_all_seeds_once():
    assert sorted(seed for shard in range(3) for seed in shard_seeds(8, 3, shard)) == list(range(8))


def test_missing_inputs_are_named(tmp_path, resolved, model):
    resolved = replace(resolved, method="holodiffusion_star")
    with pytest.raises(UserError, match="--coarse"):
        run(job_of(resolved, tmp_path / "out", 0, model=model))


def test_spread_cameras_go_all_round():
    cameras = spread_cameras(turntable(360, 20.0, 5.0, 2.0), 8, torch.Generator().manual_seed(0))
    centres = cameras.centers()
    azimuth = torch.atan2(centres[:, 0], centres[:, 2]).sort().values
    gaps = torch.cat([azimuth[1:], azimuth[:1] + 2 * torch.pi]) - azimuth
    assert len(cameras) == 8
    assert gaps.max() < 1.6 * 2 * torch.pi / 8


def test_bytes_round_and_clip():
    found = to_bytes(torch.tensor([-0.5, 0.5, 0.999, 2.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2))
    assert np.array_equal(found[0, :, :, 0], [[0, 128], [255, 255]])
