"""Ways of fusing the same hypotheses: each makes a scene of its own from all of them, and the figure shows each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs, build
from holofusion.methods.code_fusion import CodeFusion
from holofusion.methods.feedforward import FeedForwardFusion
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.scenes.base import SampleRequest
from tests.coded_balls import balls_as_codes
from tests.sections import sections, smoke
from tools.fusions import COARSE, SHOWN, figure_of, mean_of, ways

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scenes(prepared_smoke):
    """By way, a scene of the same hypotheses, which are red and blue; and the coarse one."""
    data, found = PreparedCategory.load(prepared_smoke), sections()
    base = build(CodeFusion, found, CPU, 0, "train")
    base.prepare(balls_as_codes(data, smoke()))
    network = build(FeedForwardFusion, found, CPU, 0, "train")
    network.take_over(TrainingInputs(data, base=base.state_dict()))
    scene = base.superresolve(base.sample(SampleRequest(0)), 0)
    bank = base.draw_hypotheses(scene, data.evaluation_cameras, data.image_size)
    red, blue = bank.pixels[:, :1].copy(), bank.pixels[:, :1].copy()
    red[..., 1:] //= 4
    blue[..., :2] //= 4
    bank = HypothesisBank(bank.cameras, np.concatenate([red, blue], 1))
    full = found["distillation"].model_copy(update={"mode": "full", "resolution": 16})
    fast = full.model_copy(update={"mode": "fast", "steps": 2})
    return {name: way(scene, bank) for name, way in ways(full, fast, network).items()}, scene, bank


def test_each_way_makes_a_scene_of_its_own(scenes):
    found, scene, bank = scenes
    views = {name: fused.render(bank.cameras[:2], 16).rgb for name, fused in found.items()}
    assert torch.equal(views[COARSE], scene.coarse.render(bank.cameras[:2], 16).rgb)
    others = [views[name] for name in found if name not in (COARSE, "feed-forward")]  # that one is not trained
    for place, one in enumerate(others):
        assert not any(torch.equal(one, other) for other in [*others[:place], views[COARSE]])
    assert list(found) == [COARSE, "feed-forward", "painted", "painted + 2 steps", "mean of hypotheses", "full"]


def test_the_mean_is_between_the_hypotheses(scenes):
    _, _, bank = scenes
    mean = mean_of(bank).pixels
    assert mean.shape[1] == 1 and mean.dtype == np.uint8
    np.testing.assert_allclose(mean[:, 0], bank.pixels.astype(float).mean(1), atol=0.5)


def test_every_way_has_its_place_in_the_figure():
    score = {"value": 0.06, "low": 0.05, "high": 0.07}
    found = {name: {"seconds": 2.0, **dict.fromkeys(SHOWN, score)} for name in (COARSE, "feed-forward", "full")}
    found["full"]["kernel"] = {"value": 0.06, "low": None, "high": None}
    panels = figure_of(found).axes
    assert [panel.get_title(loc="left") for panel in panels] == list(SHOWN.values())
    for panel in panels:
        assert [text.get_text() for text in panel.texts] == ["feed-forward", "full"]
