"""Trained runs in Python: a run's folder is all that sampling needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from holofusion.cameras import Cameras
from holofusion.config.messages import nearest
from holofusion.data.prepared import read_camera_list
from holofusion.methods.base import Method
from holofusion.methods.files import CAMERAS, load_method, read_sections
from holofusion.methods.fusing import fusing
from holofusion.models.shipped import locate
from holofusion.pipeline.registry import ROWS, Row, Source
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.utils.files import UserError, read_json, reading

STAGES = {"coarse": Source.NOISE, "superresolved": Source.COARSE, "fused": Source.HYPOTHESES}


class TrainedRun:
    """A trained model and how its scenes are made, as `holofusion.load` opens it."""

    def __init__(self, folder: Path | str, device: torch.device | str = "cpu") -> None:
        """folder: also a results folder, or the name of a model that ships; see `holofusion.models.shipped.locate`.

        Raises UserError naming the file where the folder holds no finished training.
        """
        self.folder, self.device = locate(folder), torch.device(device)
        path = self.folder / "model.json"
        with reading(path):
            self.facts: dict[str, Any] = read_json(path)
            if not self.facts.get("rows"):
                raise UserError(f"{path}: no generator, or one of a former version")
            if unknown := {*self.facts["rows"]} - {*ROWS}:
                raise UserError(
                    f"{path}: rows: there is no {sorted(unknown)[0]!r}; {nearest(sorted(unknown)[0], ROWS)}"
                )
        self._method: Callable[..., Method] = cache(self._open)

    @property
    def name(self) -> str:
        """What it is called: the name of its folder, RUN or that of a model that ships."""
        return self.folder.resolve().name

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages there are: `coarse`, and for HoloFusion `superresolved` and `fused`."""
        return tuple(stage for stage, source in STAGES.items() if self._rows(source))

    @property
    def fusions(self) -> tuple[str, ...]:
        """The ways of fusing that there are settings of: values of `distillation.mode`."""
        return tuple(self.facts.get("fusions") or ())

    def sample(self, seed: int, stage: str = "coarse", fusion: str | None = None) -> Scene:
        """The scene of one seed, with the bytes that the pipeline's step gives on the same kind of machine.

        stage: `coarse`: from noise with the weights alone, which takes seconds; of the baselines it is all there is.
        `superresolved`: its views with added detail, each on its own. `fused`: the full method; distillation takes minutes.
        fusion: `full`, or `fast`, which is painted with all views at once and then needs few steps; None: as the settings of
        the run say. The other stages do without.
        Raises UserError for a stage, or a fusion, that this run does not have.
        """
        self.check(stage, fusion)
        coarse = self._method(self._row(Source.NOISE).name).sample(SampleRequest(seed))
        if stage == "coarse":
            return coarse
        method = fusing(self._method(self._row(STAGES[stage]).name, fusion if stage == "fused" else None))
        scene = method.superresolve(coarse, seed)
        if stage == "superresolved":
            return scene
        bank = method.draw_hypotheses(scene, self.cameras, self.facts["image_size"])
        return method.fuse(scene, bank)

    def check(self, stage: str, fusion: str | None = None) -> None:
        """Raises UserError for a stage, or a fusion, that this run does not have."""
        if fusion is not None and fusion not in self.fusions:
            raise UserError(f"fusion {fusion!r}: {self.folder} has {', '.join(self.fusions) or 'none'}")
        if stage not in self.stages:
            raise UserError(f"stage {stage!r}: {self.folder} has {', '.join(self.stages)}")

    @property
    def cameras(self) -> Cameras:
        """The frozen evaluation cameras of the data it was trained on."""
        return read_camera_list(self.folder / CAMERAS)

    def _rows(self, source: Source) -> list[Row]:
        return [ROWS[name] for name in self.facts["rows"] if ROWS[name].source == source]

    def _row(self, source: Source) -> Row:
        """The row of this source: that named like the training, where it is one of several."""
        rows = self._rows(source)
        return next((row for row in rows if row.name == row.trained_by), rows[0])

    def _open(self, row: str, fusion: str | None = None) -> Method:
        """The method with the sections that this row's scenes are made with."""
        sections = self.facts["rows"][row] | (self.facts["fusions"][fusion] if fusion else {})
        return load_method(self.folder, self.device, read_sections(self.folder / "model.json", sections))
