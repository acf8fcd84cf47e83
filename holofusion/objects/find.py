"""Find what a folder holds to look at: objects that `holofusion generate` made, scenes and meshes of the pipeline, others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holofusion.objects.generate import OBJECT
from holofusion.objects.surfaces import FORMATS
from holofusion.scenes.base import FACTS
from holofusion.utils.files import UserError, read_json, reading

READ_FIRST = ("glb", "obj", "ply")
"""Of a mesh in several formats the one that is read: those with a texture first."""


@dataclass(frozen=True)
class Found:
    """One object. label: the model it is of; mesh: a file, or the folder of a scene. picture, video: None where there is none."""

    label: str
    seed: int
    mesh: Path | None
    picture: Path | None = None
    video: Path | None = None


def find(folder: Path) -> list[Found]:
    """All objects below a folder, by label and seed. Raises UserError where there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    objects = [path.parent for path in _below(folder, OBJECT)]
    found = [_generated(path) for path in objects]
    inside = set(objects)
    for path, mesh in [*_scenes(folder), *_meshes(folder)]:
        if not inside & {path, *path.parents}:
            found.append(Found(_label(folder, path), int(path.stem) if path.stem.isdigit() else 0, mesh))
    if not found:
        raise UserError(f"{folder}: no scenes (scene.json) and no meshes ({', '.join(FORMATS)}) below it")
    return sorted(found, key=lambda each: (each.label, each.seed))


def _below(folder: Path, name: str) -> list[Path]:
    """Files of that name, but for those in folders that are being written, or were when a run was stopped."""
    found = sorted(folder.rglob(name))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _generated(folder: Path) -> Found:
    with reading(folder / OBJECT):
        facts = read_json(folder / OBJECT)
        label, seed = f"{facts['model']}, {facts['stage']}", int(facts["seed"])
    mesh = _best(folder / "object") or folder / "scene"
    picture, video = (path if path.is_file() else None for path in (folder / "view.png", folder / "turntable.mp4"))
    return Found(label, seed, mesh, picture, video)


def _best(stem: Path) -> Path | None:
    """The file to read of a mesh in any formats; None where there is none."""
    return next((path for kind in READ_FIRST if (path := stem.with_name(f"{stem.name}.{kind}")).is_file()), None)


def _scenes(folder: Path) -> Iterator[tuple[Path, Path]]:
    for path in _below(folder, FACTS):
        yield path.parent, path.parent


def _meshes(folder: Path) -> Iterator[tuple[Path, Path]]:
    stems = {path.with_suffix("") for kind in FORMATS for path in _below(folder, f"*.{kind}")}
    for stem in sorted(stems):
        if (best := _best(stem)) is not None:
            yield stem, best


def _label(folder: Path, path: Path) -> str:
    """The nearest name above that is no number, as shards and seeds are; that of a file that has a name of its own."""
    parts = [folder.resolve().name, *path.relative_to(folder).parts]
    return next(part for part in reversed(parts) if not part.isdigit())
