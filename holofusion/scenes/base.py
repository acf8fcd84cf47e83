"""The interface of scenes: render from any camera, extract a surface, save to two files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from safetensors.torch import save_file
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.config.section import Section
from holofusion.meshing.surface import Mesh
from holofusion.rendering.views import Views
from holofusion.utils.files import write_json

TENSORS, FACTS = "scene.safetensors", "scene.json"


@dataclass(frozen=True)
class SampleRequest:
    """What a method is asked to make a scene of: one seed, one scene. condition: what it is told beside, None for nothing
    (no method here takes any)."""

    seed: int
    condition: Tensor | None = None


class Scene(Protocol):
    """A scene of one seed. Kinds of scenes inherit from it and are listed in `holofusion.scenes.files.SCENES`.

    kind: its name in scene.json. Facts: the class of its frozen facts, those numbers that loading it needs beside tensors.
    """

    kind: ClassVar[str]
    Facts: ClassVar[type[Section]]
    facts: Any

    def render(self, cameras: Cameras, size: int) -> Views:
        """Views of side `size` px from every camera. A view does not depend on the others rendered in the same call."""
        ...

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh | None:
        """The surface where density equals `level` (per world unit), found on a grid of resolution^3 points; a scene that is
        a mesh gives its own. level None: the one whose outlines are those of the renders from `cameras`, or, without any,
        those along the three axes. None where a scene has no geometry at all."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that the file scene.safetensors holds."""
        ...

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: Any) -> Self:
        """The scene of such a file's tensors and of its facts, on the tensors' device."""
        ...

    def save(self, folder: Path | str, **notes: object) -> None:
        """Write scene.safetensors and scene.json (kind, facts and `notes`) into the folder, made where there is none."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.tensors().items()}
        save_file(tensors, folder / TENSORS)
        write_json(folder / FACTS, {"kind": self.kind, "facts": self.facts.model_dump(mode="json"), **notes})


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, each name with `prefix.` before it."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def unprefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}
