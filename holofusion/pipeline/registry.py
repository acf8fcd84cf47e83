"""The one list of methods: every row of the results table, where its weights come from and how its scenes are made.

Imports nothing heavy: the workflow reads it to know which jobs there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Entry:
    """One method.

    trained_by: the method whose training gives the weights; rows that differ only in a later step share one.
    sampled_from: what its scenes are made from: "noise" (with the weights alone), "coarse" (the scenes of the "noise"
    row of the same training, seed by seed), "hypotheses" (these, and their super-resolved views) or "images" (none: its
    views were made elsewhere).
    sections: without an implementation, the sections of params.yaml that the section named like the method may change;
    with one, the sections that its training and sampling read.
    implementation: "module:Class" of a method that trains by itself, without the warm-up. The class is a torch module
    built from these sections, with `training_step`, `parameter_groups`, `sample(seed)`, `scene_class`, and the numbers
    `steps`, `ema`, `checkpoint_every`, `objects_per_batch` and `views_per_object`; with `steps` 0, nothing is trained
    and `prepare(data)`, `sample` and `scene_class` suffice.
    """

    name: str
    trained_by: str
    sampled_from: str
    sections: tuple[str, ...] = ()
    implementation: str | None = None


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("holofusion", "holofusion", "hypotheses", ("distillation",)),
        Entry("holofusion_mse", "holofusion", "hypotheses", ("distillation",)),
        Entry("holofusion_sds", "holofusion", "hypotheses", ("distillation",)),
        Entry("holodiffusion_star", "holofusion", "coarse"),
        Entry("holodiffusion", "holofusion", "noise"),
        Entry("holodiffusion_nobootstrap", "holodiffusion_nobootstrap", "noise", ("training", "superresolution")),
        Entry("pigan", "pigan", "noise", ("volume", "adversarial", "pigan"), "holofusion.methods.pigan:PiGan"),
        Entry("eg3d", "eg3d", "noise", ("volume", "adversarial", "eg3d"), "holofusion.methods.eg3d:EG3D"),
        Entry("get3d", "get3d", "noise", ("volume", "adversarial", "get3d"), "holofusion.methods.get3d:GET3D"),
        Entry("sds", "sds", "noise", ("volume", "sds"), "holofusion.methods.sds:ScoreDistillation"),
        Entry(
            "stable_dreamfusion",
            "stable_dreamfusion",
            "noise",
            ("volume", "sds", "stable_dreamfusion"),
            "holofusion.methods.stable_dreamfusion:StableDreamFusion",
        ),
        Entry("external", "external", "images", ("external",)),
    )
}


FLOOR = "real_floor"
REAL_ROWS = (FLOOR, "real_blurred", "real_other", "real_copy")
"""Real images scored like rows, which the others are read against; `evaluation/references.py` says what each is."""


def coarse_of(name: str) -> str:
    """The method whose scenes come straight from the weights that method `name` uses; itself where there are none."""
    trained_by = ENTRIES[name].trained_by
    return next((e.name for e in ENTRIES.values() if e.trained_by == trained_by and e.sampled_from == "noise"), name)


def method_class(name: str) -> type:
    """The class of a method that trains by itself."""
    module, _, attribute = ENTRIES[name].implementation.partition(":")
    return getattr(import_module(module), attribute)


def needs_warmup(name: str) -> bool:
    """Whether a method trains on the warm-up's grids, as those of HoloFusion's family do."""
    entry = ENTRIES[name]
    return entry.implementation is None and entry.sampled_from != "images"
