"""View consistency: how well a fresh static field, fitted to half of a scene's views, predicts the other half.

After 3DiM's consistency score (Watson et al. 2023). A difference between views that no solid object explains cannot be
fitted, and costs PSNR. All methods are fitted with the same settings. Texture finer than the field's voxels costs PSNR as
well, so rows of like sharpness compare. A flat card or fog is consistent too, therefore depth spread and translucency stand
beside the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor

from holofusion.cameras import Cameras, cameras_from_json
from holofusion.config.evaluation import Consistency
from holofusion.evaluation.bootstrap import Redraws, drawn_of, replicates_of
from holofusion.evaluation.entries import Entry, entry
from holofusion.evaluation.folders import read_png
from holofusion.evaluation.metrics import names_in
from holofusion.evaluation.static_field import EXTENT, WHITE, fit, render
from holofusion.evaluation.warp import SOLID_ALPHA, depth_warp
from holofusion.rendering.rays import Rays
from holofusion.utils.files import UserError, read_json, reading

FEWEST_VIEWS = 8
FALLBACK_SCENES = 4  # scored by their ordinary views, where no scene has been rendered for this score
FAINT_ALPHA = 0.02  # below it which a pixel shows nothing
BEST_PSNR = 60.0  # of pictures alike to the last bit


class SceneScore(TypedDict, total=False):
    """One scene's scores by metric, its sample seed and number of views. Depth's scores are absent without depth."""

    seed: int
    n_views: int
    consistency_psnr: float
    consistency_ssim: float
    depth_warp: float
    depth_warp_seen: float
    depth_spread: float
    translucency: float


@dataclass(frozen=True)
class SceneViews:
    """Views of one scene that are scored: the folder their files lie in, sample seed, and entries in order of azimuth."""

    folder: Path
    seed: int
    views: list[dict[str, Any]]


def choose_scenes(views_dir: Path) -> list[SceneViews]:
    """The scenes to score, by seed: those with views made for it (`consistency` in cameras.json).

    Where there are none, as in pictures made elsewhere, the first scenes with at least eight ordinary views.
    """
    made_for_it, ordinary, alone = [], [], views_dir / "cameras.json"
    for path in [alone] if alone.is_file() else sorted(views_dir.glob("*/cameras.json")):
        with reading(path):
            for scene in read_json(path)["scenes"]:
                if len(scene.get("consistency", [])) >= FEWEST_VIEWS:
                    made_for_it.append(SceneViews(path.parent, int(scene["seed"]), scene["consistency"]))
                elif len(scene["views"]) >= FEWEST_VIEWS:
                    ordinary.append(SceneViews(path.parent, int(scene["seed"]), scene["views"]))
    chosen = sorted(made_for_it or ordinary, key=lambda scene: scene.seed)
    return chosen if made_for_it else chosen[:FALLBACK_SCENES]


def score_scene(scene: SceneViews, size: int, settings: Consistency, device: torch.device) -> SceneScore:
    """All scores of one scene, from its pictures of `size` x `size` pixels.

    Raises UserError for an unusable picture, or cameras that look past the objects.
    """
    pictures = torch.stack([_picture(scene.folder / view["file"], size) for view in scene.views]).to(device)
    cameras = cameras_from_json(scene.views).to(device)
    near, far = Rays.through(cameras[range(0, len(cameras), 2)], size).cube_interval(EXTENT)
    if not (far > near).any():
        raise UserError(f"{scene.folder / 'cameras.json'}: seed {scene.seed}: no view looks at the cube [-1, 1]^3")
    score: dict[str, Any] = {"seed": scene.seed, "n_views": len(scene.views)}
    score |= held_out_scores(pictures, cameras, settings, scene.seed)
    if all("depth" in view for view in scene.views):
        score |= depth_scores(pictures, *_depths(scene.folder, scene.views, size, device), cameras)
    return cast(SceneScore, score)


def entries_of(scenes: list[SceneScore], redraws: Redraws) -> list[Entry]:
    """The mean of every metric over the scenes that have it, redrawn over scenes."""
    draws, entries = redraws.of_scenes(len(scenes)), []
    for name in names_in("consistency"):
        known = [index for index, scene in enumerate(scenes) if name in scene]
        values = np.array([cast(dict[str, float], scenes[index])[name] for index in known])
        if not known:
            continue
        replicates = replicates_of(
            lambda counts, values=values: float(counts @ values / counts.sum()), drawn_of(draws, known)
        )
        views = sum(scenes[index]["n_views"] for index in known)
        entries.append(entry(name, None, values.mean(), replicates, len(known), n_scenes=len(known), n_generated=views))
    return entries


def held_out_scores(pictures: Tensor, cameras: Cameras, settings: Consistency, seed: int) -> dict[str, float]:
    """PSNR and SSIM of the odd views of pictures (n, 3, S, S), predicted by a field fitted to the even ones."""
    field = fit(pictures[::2], cameras[range(0, len(cameras), 2)], settings, seed)
    odd = cameras[range(1, len(cameras), 2)]
    psnr, ssim = psnr_and_ssim(render(field, odd, pictures.shape[-1], 2 * settings.samples)[0], pictures[1::2])
    return {"consistency_psnr": psnr, "consistency_ssim": ssim}


def psnr_and_ssim(predicted: Tensor, pictures: Tensor) -> tuple[float, float]:
    """Mean PSNR (dB) and SSIM of views (n, 3, S, S), each over the pixels that are not white in both pictures.

    Over the whole picture a small or vanishing object would win.
    """
    psnr, ssim = [], []
    for first, second in zip(predicted, pictures, strict=True):
        shown = ((first.amin(0) < WHITE) | (second.amin(0) < WHITE)).cpu().numpy()
        if not shown.any():
            continue
        one, two = (part.permute(1, 2, 0).double().cpu().numpy() for part in (first, second))
        error = ((one - two) ** 2).mean(-1)[shown].mean()
        psnr.append(min(BEST_PSNR, -10 * np.log10(max(error, 1e-12))))
        ssim.append(
            structural_similarity(one, two, channel_axis=2, data_range=1.0, full=True)[1].mean(-1)[shown].mean()
        )
    return (float(np.mean(psnr)), float(np.mean(ssim))) if psnr else (0.0, 0.0)


def depth_scores(pictures: Tensor, alpha: Tensor, depth: Tensor, cameras: Cameras) -> dict[str, float]:
    """Depth-warp error and the share compared; spread of depth, world units; translucency: 0 solid, 1 fog."""
    error, share = depth_warp(pictures, alpha, depth, cameras)
    spreads = [
        float(view[shown].std()) for view, shown in zip(depth, alpha >= SOLID_ALPHA, strict=True) if shown.sum() > 1
    ]
    there = alpha[alpha > FAINT_ALPHA]
    scores = {"depth_spread": float(np.mean(spreads)) if spreads else 0.0}
    scores["translucency"] = float((4 * there * (1 - there)).mean()) if len(there) else 1.0
    return scores | {
        name: value for name, value in (("depth_warp", error), ("depth_warp_seen", share)) if value is not None
    }


def _picture(path: Path, size: int) -> Tensor:
    return torch.from_numpy(read_png(path, size).copy()).permute(2, 0, 1).float() / 255


def _depths(folder: Path, views: list[dict[str, Any]], size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Opacity and depth (n, S, S) of views, from their grey pictures."""
    alpha = [_grey(folder / view["alpha"], size) / 255 for view in views]
    depth = [_grey(folder / view["depth"], size) * view["depth_unit"] for view in views]
    return torch.stack(alpha).to(device), torch.stack(depth).to(device)


def _grey(path: Path, size: int) -> Tensor:
    """A grey PNG, 8 or 16 bit, as (S, S) float32. Raises UserError naming file and fault."""
    try:
        values = np.asarray(Image.open(path)).astype(np.float32)
    except (OSError, SyntaxError) as error:
        raise UserError(f"{path}: not a readable PNG ({error})") from None
    if values.shape != (size, size):
        raise UserError(f"{path}: {values.shape} values; expected a grey picture of {size}x{size} pixels")
    return torch.from_numpy(values)
