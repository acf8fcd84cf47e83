"""Sources of images (`dataset.source`), and what the pipeline does differently for each."""

from __future__ import annotations

from dataclasses import dataclass

from holofusion.config.params import Params

ROOT_VARIABLE = "CO3DV2_DATASET_ROOT"


@dataclass(frozen=True)
class DataSource:
    """One value of `dataset.source`.

    embedded: the step `dataset` makes the images; else they lie in the folder `dataset.root`.
    true_shapes: every object has a mesh of its true surface.
    """

    embedded: bool
    true_shapes: bool


SOURCES = {
    "synthetic": DataSource(embedded=True, true_shapes=True),
    "co3d": DataSource(embedded=False, true_shapes=False),
}


def source_of(params: Params) -> DataSource:
    """What `dataset.source` stands for."""
    return SOURCES[params.dataset.source]
