"""One seed, one scene: whatever the shard. And the small pieces around it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from holofusion.cameras import turntable
from holofusion.methods.holodiffusion import HoloDiffusion
from holofusion.scenes.voxel import load_scene, prefixed
from holofusion.steps.sample import run_sample, shard_seeds, spread_cameras, to_bytes
from holofusion.steps.train import build
from holofusion.utils.files import UserError


@pytest.fixture
def resolved():
    settings = SimpleNamespace(
        volume=SimpleNamespace(
            resolution=8, features=8, extent=1.0, decoder_width=8, density_scale=20.0, precision="fp32"
        ),
        rendering=SimpleNamespace(
            image_size=16, coarse_samples=8, importance_samples=4, occupied_samples=12, empty_density=0.5
        ),
        denoiser=SimpleNamespace(channels=[8, 16], blocks=1, linear_rank=2, noise_steps=10, schedule_shift=-3.0),
        sampling=SimpleNamespace(scenes=8, shards=1, steps=4, sampler="ddpm"),
        superresolution=None,
    )
    return SimpleNamespace(settings=settings, method="holodiffusion", category="ball", seed=0, hash="0" * 64)


@pytest.fixture
def model(tmp_path, resolved):
    """A random, untrained model: its weights are made large enough for scenes to differ."""
    network = build(HoloDiffusion, resolved.settings, torch.device("cpu"), 0)
    generator = torch.Generator().manual_seed(0)
    tensors = {k: v + 0.05 * torch.randn(v.shape, generator=generator) for k, v in network.state_dict().items()}
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(prefixed("coarse", {k: v.contiguous() for k, v in tensors.items()}), folder / "model.safetensors")
    return folder


def test_a_scene_is_the_same_bytes_alone_and_in_a_shard_of_eight(tmp_path, resolved, model):
    cpu = torch.device("cpu")
    run_sample(resolved, model, None, None, 0, tmp_path / "one", cpu)
    resolved.settings.sampling.shards = 8
    run_sample(resolved, model, None, None, 7, tmp_path / "eight", cpu)
    assert [path.name for path in (tmp_path / "eight").iterdir()] == ["000007"]
    alone = (tmp_path / "eight/000007/scene.safetensors").read_bytes()
    assert alone == (tmp_path / "one/000007/scene.safetensors").read_bytes()
    assert alone != (tmp_path / "one/000006/scene.safetensors").read_bytes()


def test_a_killed_shard_keeps_its_finished_scenes(tmp_path, resolved, model, monkeypatch):
    cpu, made = torch.device("cpu"), []
    original = HoloDiffusion.sample_grid

    def counting(self, seed, *rest):
        made.append(seed)
        if len(made) == 4:
            raise KeyboardInterrupt
        return original(self, seed, *rest)

    monkeypatch.setattr(HoloDiffusion, "sample_grid", counting)
    with pytest.raises(KeyboardInterrupt):
        run_sample(resolved, model, None, None, 0, tmp_path / "out", cpu)
    assert not (tmp_path / "out").exists()
    run_sample(resolved, model, None, None, 0, tmp_path / "out", cpu)
    assert made == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{seed:06d}" for seed in range(8)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


def test_saved_scenes_render_as_they_were(tmp_path, resolved, model):
    run_sample(resolved, model, None, None, 0, tmp_path / "out", torch.device("cpu"))
    cameras = turntable(2, 10.0, 5.0, 2.0)
    scene, facts = load_scene(tmp_path / "out/000003", torch.device("cpu"))
    again, _ = load_scene(tmp_path / "out/000003", torch.device("cpu"))
    assert facts["seed"] == 3
    assert torch.equal(scene.render(cameras, 16).rgb, again.render(cameras, 16).rgb)
    assert scene.density(torch.zeros(1, 3)).shape == (1,)


def test_shards_share_out_all_seeds_once():
    assert sorted(seed for shard in range(3) for seed in shard_seeds(8, 3, shard)) == list(range(8))


def test_missing_inputs_are_named(tmp_path, resolved, model):
    resolved.method, resolved.settings.superresolution = "holodiffusion_star", SimpleNamespace()
    with pytest.raises(UserError, match="--coarse"):
        run_sample(resolved, model, None, None, 0, tmp_path / "out", torch.device("cpu"))


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
