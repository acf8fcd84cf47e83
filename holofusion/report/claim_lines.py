"""Word the claims for the report: verdicts, and the numbers behind each."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from holofusion.evaluation.claims import CODES, FEATURES, Sum, Verdict, claims_for, verdict_of
from holofusion.evaluation.metrics import METRICS
from holofusion.pipeline.registry import label_of
from holofusion.report.collect import Results
from holofusion.report.paper import CATEGORIES, published_table
from holofusion.report.scores import finder

PUBLISHED_AS = dict(zip(astuple(CODES), astuple(FEATURES), strict=True))


def verdicts_of(results: Results, category: str, seeds: list[int]) -> list[Verdict]:
    """Every claim, judged on this category."""
    methods = list(dict.fromkeys(run.method for run in results.runs if run.category == category))
    find = finder(results, category)
    return [verdict_of(claim, find, seeds, methods) for claim in claims_for(methods)]


@dataclass(frozen=True)
class ClaimLine:
    """One sum of a claim in words: what is subtracted from what, its value, and the same sum of the published numbers."""

    what: str
    value: str
    interval: str
    seeds: str
    published: str


def claim_lines(verdict: Verdict, category: str) -> list[ClaimLine]:
    """The numbers behind a verdict."""
    lines = []
    for part in verdict.measured:
        column = METRICS[part.sum.metric]
        ends = "" if part.low is None else f"{column.text(part.low)} to {column.text(part.high)}"
        seeds = ", ".join(map(column.text, part.seeds)) if len(part.seeds) > 1 else ""
        lines.append(
            ClaimLine(in_words(part.sum), column.text(part.value), ends, seeds, published_sum(part.sum, category))
        )
    return lines


def in_words(part: Sum) -> str:
    """`A \u2212 B`, or with factors: what the sum adds and subtracts."""
    text = ""
    for method, weight in part.weights.items():
        sign = "\u2212" if weight < 0 else "+" if text else ""
        factor = "" if abs(weight) == 1 else f"{abs(weight):g} × "
        text += f" {sign} {factor}{label_of(method)}"
    return text.strip(" ")


def published_sum(part: Sum, category: str) -> str:
    """The same sum of the published KID × 1000: of this category where it is in the paper, else of the mean.

    Rows over codes stand for the published ones that they take the place of.
    """
    table, weights = published_table(), {PUBLISHED_AS.get(name, name): part.weights[name] for name in part.weights}
    if part.metric != "kernel" or not set(weights) <= set(table) or len(weights) < len(part.weights):
        return ""
    where = category if category in CATEGORIES else "mean"
    kid = {name: table[name].kid[category] if where == category else table[name].mean[1] for name in weights}
    value = sum(weight * kid[name] for name, weight in weights.items())
    return f"{METRICS['kernel'].text(value)} ({where})"
