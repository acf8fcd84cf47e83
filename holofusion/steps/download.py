"""Photographs of one category of CO3Dv2."""

from __future__ import annotations

from holofusion.config.steps import DownloadSettings
from holofusion.data.co3d.download import download
from holofusion.data.co3d.releases import read_release
from holofusion.pipeline.job import Job
from holofusion.utils.files import UserError, write_json


def run(job: Job[DownloadSettings]) -> None:
    """Fetch, check and unpack the category below `--root`; write to `job.out` what has arrived."""
    settings, category, root = job.settings.download, job.category, job.path("root")
    if settings.release is None:
        raise UserError("download.release: null is not valid here; name the release to fetch")
    listed = read_release(settings.release, [category], None, None)
    download(root, listed, settings.connections, settings.keep_archives, False)
    write_json(job.out, {"root": str(root), "release": settings.release, "category": category})
