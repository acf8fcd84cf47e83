"""Scopes of steps: a step runs once per category, per run, per row of real images, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holofusion.config.params import Params
from holofusion.pipeline.registry import FLOOR, REAL_ROWS, ROWS, Need, Source, coarse_of
from holofusion.pipeline.runs import CATEGORY, CODES, REAL, RUN, WARMUP
from holofusion.pipeline.sources import source_of

DATA_SEED = 0  # embedded objects, split and frozen cameras are the same for every training seed


@dataclass(frozen=True)
class Subject:
    """What one job of a step is about. method: whose own section of params.yaml applies; real: a row of real images."""

    method: str | None = None
    category: str | None = None
    seed: int = DATA_SEED
    real: str | None = None


@dataclass(frozen=True)
class Scope:
    """Of what a step is done once. pattern: its names, with wildcards; subjects: those that the settings ask for."""

    pattern: str
    subjects: Callable[[Params], Iterator[Subject]]

    def name(self, subject: Subject) -> str:
        """The name of a subject's results."""
        return self.pattern.format(**vars(subject))


def other_category(params: Params, category: str) -> str | None:
    """The category whose real images are scored as a ceiling of `category`'s table: the next one listed, or the one named."""
    listed = params.categories
    if len(listed) > 1:
        return listed[(listed.index(category) + 1) % len(listed)]
    return params.evaluation.other_category


def categories_of(params: Params) -> list[str]:
    """Every category whose images are prepared: those listed, and the one that serves as a ceiling."""
    others = [other_category(params, category) for category in params.categories]
    return list(dict.fromkeys(params.categories + [name for name in others if name]))


def real_rows(params: Params, category: str) -> list[str]:
    """The rows of real images beside the table of `category`; `real_other` only where there is another category."""
    return [row for row in REAL_ROWS if row != "real_other" or other_category(params, category)]


def _each_category(params: Params) -> Iterator[Subject]:
    return (Subject(category=category) for category in categories_of(params))


def _each_embedded(params: Params) -> Iterator[Subject]:
    return _each_category(params) if source_of(params).embedded else iter(())


def _each_download(params: Params) -> Iterator[Subject]:
    return _each_category(params) if params.download.release is not None else iter(())


def _each_reconstructed(params: Params) -> Iterator[Subject]:
    if _any_needs(Need.CODES, params):
        for category in params.categories:
            yield Subject(category=category)


def _any_needs(need: Need, params: Params) -> bool:
    """Whether the training behind any row of the table has that need."""
    return any(need in ROWS[ROWS[row].first_stage].needs for row in params.methods)


def _each_in_need(need: Need) -> Callable[[Params], Iterator[Subject]]:
    """A function that gives every category and training seed, where any row of the table has that need."""

    def subjects(params: Params) -> Iterator[Subject]:
        if _any_needs(need, params):
            for category in params.categories:
                for seed in params.seeds:
                    yield Subject(category=category, seed=seed)

    return subjects


def _each_real(params: Params) -> Iterator[Subject]:
    return (
        Subject(category=category, real=row) for category in params.categories for row in real_rows(params, category)
    )


def _each_floor(params: Params) -> Iterator[Subject]:
    if source_of(params).true_shapes:
        for category in params.categories:
            yield Subject(category=category, real=FLOOR)


def _runs(methods_of: Callable[[str], list[str]]) -> Callable[[Params], Iterator[Subject]]:
    """A function that gives the runs of all methods that `methods_of` names for any row of the table, each once."""

    def subjects(params: Params) -> Iterator[Subject]:
        methods = dict.fromkeys(method for row in params.methods for method in methods_of(row))
        for category in params.categories:
            for seed in params.seeds:
                for method in methods:
                    yield Subject(method, category, seed)

    return subjects


def _generated(row: str) -> list[str]:
    return [row] if ROWS[row].source != Source.IMAGES else []


def _made_elsewhere(row: str) -> list[str]:
    return [row] if ROWS[row].source == Source.IMAGES else []


def _trained(row: str) -> list[str]:
    return [name for method in _generated(row) for name in (ROWS[method].first_stage, ROWS[method].trained_by)]


def _from_noise(row: str) -> list[str]:
    return [coarse_of(method) for method in _generated(row)]


def _sampled(row: str) -> list[str]:
    return [*_from_noise(row), *_generated(row)]


def _decoded(row: str) -> list[str]:
    return [row] if ROWS[row].over_codes and ROWS[row].source == Source.NOISE else []


def _distilled(row: str) -> list[str]:
    return [ROWS[row].first_stage] if ROWS[row].source == Source.HYPOTHESES else []


def _laddered(row: str) -> list[str]:
    """The row after which its training is named; a ladder shows the scenes of that one."""
    return [row] if ROWS[row].over_codes and _distilled(row) == [row] else []


EACH_CATEGORY = Scope(CATEGORY, _each_category)
EACH_EMBEDDED = Scope(CATEGORY, _each_embedded)
EACH_DOWNLOAD = Scope(CATEGORY, _each_download)
EACH_RECONSTRUCTED = Scope(CATEGORY, _each_reconstructed)
EACH_WARMUP = Scope(WARMUP, _each_in_need(Need.WARMUP))
EACH_CODED = Scope(CODES, _each_in_need(Need.CODES))
EACH_RUN = Scope(RUN, _runs(lambda row: [row]))
EACH_GENERATED = Scope(RUN, _runs(_generated))
EACH_MADE_ELSEWHERE = Scope(RUN, _runs(_made_elsewhere))
EACH_TRAINED = Scope(RUN, _runs(_trained))
EACH_SAMPLED = Scope(RUN, _runs(_sampled))
EACH_FROM_NOISE = Scope(RUN, _runs(_from_noise))
EACH_DECODED = Scope(RUN, _runs(_decoded))
EACH_DISTILLED = Scope(RUN, _runs(_distilled))
EACH_LADDERED = Scope(RUN, _runs(_laddered))
EACH_REAL = Scope(REAL, _each_real)
EACH_FLOOR = Scope(REAL, _each_floor)
ONCE = Scope("report", lambda params: iter([Subject()]))
