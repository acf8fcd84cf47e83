"""The page, its tables and figures."""

from __future__ import annotations

from holofusion.config.steps import ReportSettings
from holofusion.pipeline.job import Job
from holofusion.pipeline.verify import require_verified
from holofusion.report.page import run_report


def run(job: Job[ReportSettings]) -> None:
    """Write `job.out`/*, and figures/* and report.html beside it. Raises UserError unless all results are in order."""
    results = job.out.parent
    require_verified(results, but="report")
    run_report(job.resolved, results, results / "report.html")
