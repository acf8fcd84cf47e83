"""Import views made elsewhere as those of a row, after every check that scoring makes."""

from __future__ import annotations

from PIL import Image

from holofusion.cameras import CONVENTION
from holofusion.config.steps import ImportViewsSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.external import read_external
from holofusion.evaluation.folders import ViewFolder
from holofusion.pipeline.job import Job
from holofusion.utils.files import UserError, read_json, replacing, write_json


def run(job: Job[ImportViewsSettings]) -> None:
    """Copy the views below `--pictures` to the folder `job.out`.

    cameras.json there: convention, image_size, and scenes, each with a seed (its number) and views, each with file, R, T,
    focal_length and principal_point. Raises UserError naming the file that is missing or wrong.
    """
    folder, name = job.path("pictures"), job.run.name
    listing = read_json(folder / "cameras.json")
    if not isinstance(listing, dict):
        raise UserError(f"{folder}/cameras.json: should be an object with convention, image_size and scenes")
    if listing.get("convention") != CONVENTION:
        raise UserError(f"{folder}/cameras.json: convention is {listing.get('convention')!r}, expected {CONVENTION!r}")
    views = ViewFolder.load(folder, name, PreparedCategory.load(job.path("data")).image_size)
    with replacing(job.out) as temporary:
        for path in views.files:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{folder}/cameras.json: {path} lies outside this folder")
        pictures = read_external(folder, views.files, views.image_size)
        for path, picture in zip(views.files, pictures, strict=True):
            target = temporary / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(target, format="PNG")
        facts = {"run": name, "config_hash": job.resolved.hash}
        kept = {key: listing[key] for key in ("convention", "image_size")}
        scenes = [{"seed": scene["seed"], "views": scene["views"]} for scene in listing["scenes"]]
        write_json(temporary / "cameras.json", facts | kept | {"scenes": scenes})
