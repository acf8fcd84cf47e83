"""Photographs of one's own, one folder per object, made a folder in CO3D layout that `prepare` reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from holofusion.cameras import cameras_to_json
from holofusion.data.co3d.writer import frame_entry, held_out_count, list_category, write_annotations
from holofusion.data.importers.colmap import find_model, read_colmap
from holofusion.data.importers.nerfstudio import NAME, read_transforms
from holofusion.data.importers.photographs import Photograph, has_alpha, read_photograph
from holofusion.data.preparation.selection import object_name
from holofusion.utils.files import UserError, replacing
from holofusion.utils.progress import Progress, say
from holofusion.utils.random import numpy_generator_for

COPIED = (".jpg", ".jpeg", ".png")  # files whose bytes are taken over, unless they have an alpha channel


def import_images(source: Path, out: Path, category: str) -> None:
    """Write OUT/CATEGORY in CO3D layout, whole or not at all, and list it in OUT's category file.

    source: one folder per object, each with transforms.json or a COLMAP text model; folders `a__1`, `a__2` show one
    object. One object in eight is held out. Where the worlds lie, and how large they are, does not matter.
    Raises UserError naming the file and what is wrong.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", category):
        raise UserError(f"--category {category}: use small letters, digits and _, beginning with a letter")
    if (out / category).exists():
        raise UserError(f"{out / category}: is there already; remove it, or choose another folder")
    captures = {folder.name: _read(folder) for folder in _object_folders(source)}
    things = sorted({object_name(name) for name in captures})
    if len(things) < 2:
        raise UserError(f"{source}: holds {len(things)} object(s), at least 2 are needed, as one is held out")
    order = numpy_generator_for("own images", category).permutation(len(things))
    apart = {things[index] for index in order[: held_out_count(len(things))]}
    held_out = {name for name in captures if object_name(name) in apart}
    with replacing(out / category) as folder:
        progress = Progress(f"import {category}", sum(map(len, captures.values())))
        sequences = {}
        for name, photographs in captures.items():
            sequences[name] = _write_sequence(folder, category, name, photographs, name in held_out, progress)
        write_annotations(folder, category, sequences, held_out, None)
    list_category(out)
    say(
        f"import {category}: {len(captures)} sequences of {len(things)} objects, {len(apart)} held out: {out / category}"
    )


def _object_folders(source: Path) -> list[Path]:
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; it should hold one folder per object")
    folders = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if (source / NAME).exists() or not folders:
        raise UserError(f"{source}: should hold one folder per object, each with {NAME} or a COLMAP text model")
    return folders


def _read(folder: Path) -> list[Photograph]:
    if (folder / NAME).is_file():
        return read_transforms(folder)
    if model := find_model(folder):
        return read_colmap(folder, model)
    raise UserError(f"{folder}: neither {NAME} nor a COLMAP text model (cameras.txt, images.txt)")


def _write_sequence(
    folder: Path, category: str, name: str, photographs: list[Photograph], held_out: bool, progress: Progress
) -> list[dict[str, Any]]:
    """Write images and masks of one capture; return its frame annotations."""
    for kind in ("images", "masks"):
        (folder / name / kind).mkdir(parents=True)
    frames = []
    for photograph in photographs:
        picture, cover = read_photograph(photograph)
        progress.advance(name)
        if not cover.any():
            say(f"import {category}: {photograph.image}: left out, its mask is empty")
            continue
        copied = photograph.image.suffix.lower() in COPIED and not has_alpha(photograph.image)
        file = f"frame{len(frames) + 1:06d}{photograph.image.suffix.lower() if copied else '.png'}"
        if copied:
            shutil.copyfile(photograph.image, folder / name / "images" / file)
        else:
            picture.convert("RGB").save(folder / name / "images" / file)
        Image.fromarray(cover).save(folder / name / "masks" / f"{Path(file).stem}.png")
        (viewpoint,) = cameras_to_json(photograph.camera)
        frames.append(frame_entry(category, name, len(frames), file, held_out, cover, viewpoint))
    return frames
