"""The second stage, which methods with a trained super-resolution share: views super-resolved, drawn many times, and fused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from holofusion.cameras import Cameras
from holofusion.config.params import SuperResolutionSection
from holofusion.config.sampling import Distillation, Hypotheses, SuperResolutionSampling, SurfaceFusion
from holofusion.methods.base import Method, given
from holofusion.methods.distillation import distil
from holofusion.methods.hypotheses import HypothesisBank, draw_hypotheses
from holofusion.methods.superresolution import SuperResolution, SuperResolvedFacts, SuperResolvedScene
from holofusion.methods.surface_fusion import fuse_on_surface
from holofusion.scenes.base import Scene
from holofusion.scenes.voxel import VoxelScene
from holofusion.utils.files import UserError


class Fuses(Method):
    """A method whose coarse scenes can be super-resolved, and fused: what rows not sampled from noise alone are made with.

    switch: the key of the settings that is 0 where no super-resolution is trained.
    """

    switch: ClassVar[str]
    superresolution: SuperResolution | None
    superresolution_section: SuperResolutionSection
    superresolution_sampling: SuperResolutionSampling | None
    hypotheses: Hypotheses | None
    distillation: Distillation | None
    surface_fusion: SurfaceFusion | None = None

    def superresolve(self, coarse: Scene, seed: int) -> SuperResolvedScene:
        """The coarse scene of that seed, each view of it super-resolved.

        Raises UserError without a trained super-resolution, and for scenes of another kind.
        """
        if self.superresolution is None:
            raise UserError(f"{self.switch}: 0, so that no super-resolution was trained")
        if not isinstance(coarse, VoxelScene):
            raise UserError(f"scene {seed}: of kind {coarse.kind!r}; only {VoxelScene.kind!r} can be super-resolved")
        facts = SuperResolvedFacts(
            coarse=coarse.facts,
            superresolution=self.superresolution_section,
            superresolution_sampling=given(self.superresolution_sampling, "superresolution_sampling"),
            seed=seed,
        )
        return SuperResolvedScene(coarse, self.superresolution, facts)

    def draw_hypotheses(
        self, scene: SuperResolvedScene, pool: Cameras, size: int, advance: Callable[[], None] = lambda: None
    ) -> HypothesisBank:
        """The scene's bank of hypotheses, as the function `draw_hypotheses` draws it."""
        return draw_hypotheses(scene, pool, size, given(self.hypotheses, "hypotheses"), advance)

    def fuse(
        self, scene: SuperResolvedScene, bank: HypothesisBank, state: Path | None = None, stamp: str = ""
    ) -> Scene:
        """One high-resolution scene of a bank of hypotheses; an unfinished one is kept in the folder `state`.

        A field, or a mesh where the method was built with `surface_fusion`.
        """
        distillation = given(self.distillation, "distillation")
        if self.surface_fusion is None:
            return distil(scene, bank, distillation, state, stamp)
        return fuse_on_surface(scene, bank, distillation, self.surface_fusion, state, stamp)


def fusing(method: Method) -> Fuses:
    """The method, if its scenes can be fused. Raises UserError if they cannot."""
    if not isinstance(method, Fuses):
        raise UserError(f"{type(method).__name__}: has no super-resolution")
    return method
