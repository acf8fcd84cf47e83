"""EG3D's optional pose conditioning: whose camera the generator is told, and that it can be trained and sampled so."""

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.data.batches import draw_batch
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs, construct
from holofusion.methods.eg3d import EG3D, camera_label
from holofusion.pipeline.checks import load_params
from holofusion.scenes.base import SampleRequest
from holofusion.utils.random import generator_for


@pytest.fixture
def conditioned(project, edit) -> EG3D:
    edit(project, "config/smoke.yaml", **{"eg3d.pose_conditioning": True})
    torch.manual_seed(0)
    return construct(EG3D, dict(load_params(project / "params.yaml", "smoke")))


@pytest.mark.parametrize(("progress", "own"), [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5)])
def test_the_view_s_own_camera_is_told_more_often_as_training_goes_on(conditioned, progress, own) -> None:
    cameras = turntable(2000, 20.0, 4.0, 3.0)
    told = conditioned.pose_label(cameras, progress * conditioned.steps, generator_for("swap"))
    share = float((told == camera_label(cameras)).all(1).float().mean())
    assert share == pytest.approx(own, abs=0.04)


def test_conditioned_on_poses_it_trains_and_samples(conditioned, prepared_smoke) -> None:
    data = PreparedCategory.load(prepared_smoke)
    conditioned.prepare(TrainingInputs(data))
    generator = generator_for("train")
    batch = draw_batch(data, conditioned.objects_per_batch, 1, generator, torch.device("cpu"))
    conditioned.training_step(batch, 0, generator)["loss"].backward()
    assert all(torch.isfinite(value.grad).all() for value in conditioned.mapping.parameters())
    views = [conditioned.sample(SampleRequest(seed)).render(data.evaluation_cameras[:1], 32).rgb for seed in (0, 1)]
    assert torch.isfinite(torch.stack(views)).all() and not torch.equal(*views)
