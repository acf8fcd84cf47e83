"""The embedded objects of one category, as a folder in CO3Dv2 layout."""

from __future__ import annotations

from holofusion.config.steps import DatasetSettings
from holofusion.data.synthetic.dataset import make_dataset
from holofusion.pipeline.job import Job


def run(job: Job[DatasetSettings]) -> None:
    """Write the folder `job.out`, called like the category, and list the category beside it."""
    category = job.category
    make_dataset(job.settings.synthetic, category, job.resolved.seed, job.out.parent, job.threads)
