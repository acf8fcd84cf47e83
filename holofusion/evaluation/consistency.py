"""View consistency: how well a fresh static field, fitted to half of a scene's views, predicts the other half.

After 3DiM's consistency score (Watson et al. 2023): whatever differs between the views and is not explained by one solid
object cannot be fitted, and costs PSNR. All methods are fitted with the same settings; texture finer than the field's
voxels costs PSNR too, so compare rows of like sharpness. A flat card or fog would agree as well: spread of depth and
translucency stand beside the score.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor

from holofusion.cameras import Cameras, cameras_from_json
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.bootstrap import drawn_of, entry, redraw, replicates_of
from holofusion.evaluation.folders import ViewFolder, read_png
from holofusion.evaluation.static_field import EXTENT, WHITE, fit, render
from holofusion.evaluation.warp import SOLID, depth_warp
from holofusion.rendering.volume import cube_interval
from holofusion.utils.files import UserError, read_json, write_json
from holofusion.utils.progress import Progress, say

FEWEST_VIEWS = 8
FALLBACK_SCENES = 4  # scored by their ordinary views, where no scene has been rendered for this score
FAINT = 0.02  # opacity below which a pixel shows nothing
BEST_PSNR = 60.0  # of pictures alike to the last bit
METRICS = ("consistency_psnr", "consistency_ssim", "depth_warp", "depth_warp_seen", "depth_spread", "translucency")


def run_consistency(resolved: Any, data_folder: Path, views_dir: Path, out: Path, device: torch.device) -> None:
    """Score the scenes of one run that were rendered for it (`consistency` in cameras.json); write the JSON `out`.

    Where none was, as in pictures made elsewhere, the first scenes with at least eight ordinary views are taken; if there
    are none, `out` holds no entries. Raises UserError for a folder of another run, an unusable picture, or cameras that
    look past the objects.
    """
    run = f"{resolved.method}-{resolved.category}-s{resolved.seed}"
    size = PreparedCategory.load(data_folder).image_size
    ViewFolder.load(views_dir, run, size)  # its checks
    chosen = choose_scenes(views_dir)
    progress, scenes = Progress(f"consistency {resolved.method}", len(chosen)), []
    for folder, seed, views in chosen:
        pictures = torch.stack([_picture(folder / view["file"], size) for view in views]).to(device)
        cameras = cameras_from_json(views).to(device)
        near, far = cube_interval(*cameras[range(0, len(cameras), 2)].rays(size), EXTENT)
        if not (far > near).any():
            raise UserError(f"{folder / 'cameras.json'}: seed {seed}: no view looks at the cube [-1, 1]^3")
        found = held_out_scores(pictures, cameras, resolved.settings.consistency, seed)
        if all("depth" in view for view in views):
            found |= depth_scores(pictures, *_depths(folder, views, size, device), cameras)
        scenes.append({"seed": seed, "n_views": len(views), **found})
        progress.advance()
    write_json(
        out,
        {
            "run": run,
            "method": resolved.method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "n_scenes": len(scenes),
            "entries": entries_of(scenes, resolved),
            "scenes": scenes,
        },
    )
    if not scenes:
        say(f"{views_dir}: no scene has {FEWEST_VIEWS} views; their agreement is not scored")


def choose_scenes(views_dir: Path) -> list[tuple[Path, int, list[dict[str, Any]]]]:
    """(shard, seed, views in order of azimuth) of the scenes to score, by seed."""
    made_for_it, ordinary, alone = [], [], views_dir / "cameras.json"
    for path in [alone] if alone.is_file() else sorted(views_dir.glob("*/cameras.json")):
        for scene in read_json(path)["scenes"]:
            if len(scene.get("consistency", [])) >= FEWEST_VIEWS:
                made_for_it.append((path.parent, scene["seed"], scene["consistency"]))
            elif len(scene["views"]) >= FEWEST_VIEWS:
                ordinary.append((path.parent, scene["seed"], scene["views"]))
    return sorted(made_for_it or ordinary, key=lambda found: found[1])[: None if made_for_it else FALLBACK_SCENES]


def entries_of(scenes: list[dict[str, Any]], resolved: Any) -> list[dict[str, Any]]:
    """The mean of every metric over the scenes that have it, redrawn over scenes."""
    draws, found = redraw(len(scenes), resolved.settings.intervals.replicates, "scenes", resolved.seed), []
    for name in METRICS:
        known = [index for index, scene in enumerate(scenes) if name in scene]
        values = np.array([scenes[index][name] for index in known])
        if not known:
            continue
        replicates = replicates_of(
            lambda counts, values=values: float(counts @ values / counts.sum()), drawn_of(draws, known)
        )
        views = sum(scenes[index]["n_views"] for index in known)
        found.append(entry(name, None, values.mean(), replicates, len(known), n_scenes=len(known), n_generated=views))
    return found


def held_out_scores(pictures: Tensor, cameras: Cameras, settings: Any, seed: int) -> dict[str, float]:
    """PSNR and SSIM of the odd views of pictures (n, 3, S, S), predicted by a field fitted to the even ones."""
    field = fit(pictures[::2], cameras[range(0, len(cameras), 2)], settings, seed)
    odd = cameras[range(1, len(cameras), 2)]
    psnr, ssim = agreement(render(field, odd, pictures.shape[-1], 2 * settings.samples)[0], pictures[1::2])
    return {"consistency_psnr": psnr, "consistency_ssim": ssim}


def agreement(predicted: Tensor, pictures: Tensor) -> tuple[float, float]:
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
    spreads = [float(view[shown].std()) for view, shown in zip(depth, alpha >= SOLID, strict=True) if shown.sum() > 1]
    there = alpha[alpha > FAINT]
    found = {"depth_spread": float(np.mean(spreads)) if spreads else 0.0}
    found["translucency"] = float((4 * there * (1 - there)).mean()) if len(there) else 1.0
    return found | {
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
