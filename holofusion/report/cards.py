"""Model cards with scores, tables/cards/RUN.md: what the training wrote as MODEL_CARD.md, once there are scores to add."""

from __future__ import annotations

from pathlib import Path

from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.entries import Entry
from holofusion.evaluation.metrics import metric_of
from holofusion.pipeline.registry import ROWS
from holofusion.report.collect import Results
from holofusion.training.model_card import Score, TrainingData, model_card
from holofusion.utils.files import replacing


def write_cards(results: Results, folder: Path) -> None:
    """Write the card of every trained run whose data is in the results folder, with the scores of its own row."""
    for run in results.runs:
        data = results.folder / "data" / run.category
        if run.model is None or ROWS[run.method].trained_by != run.method or not (data / "data.json").is_file():
            continue
        scores = [score_of(entry) for entry in run.entries]
        card = model_card(run.model, TrainingData.of(PreparedCategory.load(data)), scores)
        with replacing(folder / f"{run.name}.md") as temporary:
            temporary.write_text(card)


def score_of(entry: Entry) -> Score:
    """An entry of a metrics file as a line of the card."""
    metric = metric_of(entry["metric"], entry["reference"])
    text = metric.text(entry["value"])
    if entry["low"] is not None and entry["high"] is not None:
        text += f" [{metric.text(entry['low'])}, {metric.text(entry['high'])}]"
    named = "" if entry["metric"] == metric.name else f" (`{entry['metric']}`)"
    counts = {"images": entry.get("n_generated"), "scenes": entry.get("n_scenes")}
    count = next((f"{number} {kind}" for kind, number in counts.items() if number), "")
    return Score(metric.heading + named, text, count)
