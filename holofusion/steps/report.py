"""The page, its tables and figures."""

from __future__ import annotations

from holofusion.config.steps import ReportSettings
from holofusion.pipeline.job import Job
from holofusion.pipeline.verify import require_verified
from holofusion.report.page import run_report
from holofusion.utils.files import discard_unfinished


def run(job: Job[ReportSettings]) -> None:
    """Write `job.out`/*, and figures/* and report.html beside it. Raises UserError unless all results are in order."""
    results = job.out.parent
    require_verified(results, but="report")
    for beside in ("report.html", "figures"):
        discard_unfinished(results / beside)
    run_report(job.resolved, results, results / "report.html")
