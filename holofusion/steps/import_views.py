"""The step `import`: copy views made elsewhere into the results folder, checked."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from holofusion.cameras import CONVENTION
from holofusion.config.load import Resolved
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.folders import ViewFolder, read_png
from holofusion.utils.files import UserError, read_json, replacing, write_json


def run_import(resolved: Resolved, data: Path, out: Path) -> None:
    """Copy the views in `external.folder`/<category> to `out` after every check that scoring makes.

    cameras.json there: convention, image_size, and scenes, each with a seed (its number) and views, each with file, R, T,
    focal_length and principal_point. Raises UserError naming the file that is missing or wrong.
    """
    folder = Path(resolved.settings.external.folder) / resolved.category
    run = f"external-{resolved.category}-s{resolved.seed}"
    listing = read_json(folder / "cameras.json")
    if listing.get("convention") != CONVENTION:
        raise UserError(f"{folder}/cameras.json: convention is {listing.get('convention')!r}, expected {CONVENTION!r}")
    views = ViewFolder.load(folder, run, PreparedCategory.load(data).image_size)
    with replacing(out) as temporary:
        for path in views.files:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{folder}/cameras.json: {path} lies outside this folder")
            target = temporary / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(read_png(path, views.image_size)).save(target)
        kept = {key: listing[key] for key in ("convention", "image_size")}
        scenes = [{"seed": scene["seed"], "views": scene["views"]} for scene in listing["scenes"]]
        write_json(temporary / "cameras.json", {"run": run, "config_hash": resolved.hash, **kept, "scenes": scenes})
