"""Convert a user's photographs, one folder per object, into a folder in CO3D layout that `prepare` reads."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from holofusion.cameras import cameras_to_json
from holofusion.data.co3d.writer import frame_entry, frame_role, held_out_count, list_category, write_annotations
from holofusion.data.images import BadMask
from holofusion.data.importers.colmap import COLMAP
from holofusion.data.importers.nerfstudio import NERFSTUDIO
from holofusion.data.importers.photographs import Photograph, Reader, read_files
from holofusion.data.masks import (
    BORDERS,
    INSIDE,
    INVERTED,
    capture_fault,
    looks_inverted,
    mask_fault,
    touches_all_borders,
)
from holofusion.data.preparation.selection import object_id
from holofusion.utils.files import UserError, replacing
from holofusion.utils.progress import Progress, say
from holofusion.utils.random import numpy_generator_for

READERS: tuple[Reader, ...] = (NERFSTUDIO, COLMAP)  # asked in this order; a new format is one more entry


@dataclass
class _Capture:
    """What was taken over of one folder. frames: annotations.  faults: reason by image of every photograph left out."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def import_images(source: Path, out: Path, category: str) -> None:
    """Write OUT/CATEGORY in CO3D layout, whole or not at all, and list it in OUT's category file.

    source: one folder per object, each in a format of READERS; folders `a__1`, `a__2` show one object. One object in
    eight is held out. Where the worlds lie, and how large they are, does not matter. Photographs whose masks show no
    object are left out and counted.
    Raises UserError naming the file and what is wrong, or the reasons where fewer than two objects are left.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", category):
        raise UserError(f"--category {category}: use small letters, digits and _, beginning with a letter")
    if (out / category).exists():
        raise UserError(f"{out / category}: is there already; remove it, or choose another folder")
    listed = {folder.name: _read(folder) for folder in _object_folders(source)}
    count = len({object_id(name) for name in listed})
    if count < 2:
        raise UserError(f"{source}: holds {count} object(s), at least 2 are needed, as one is held out")
    with replacing(out / category) as folder:
        progress = Progress(f"import {category}", sum(map(len, listed.values())))
        captures = {
            name: _write_capture(folder, category, name, photographs, progress) for name, photographs in listed.items()
        }
        for name, capture in captures.items():
            _say_faults(f"import {category}: {name}", capture, len(listed[name]))
        sequences = {name: capture.frames for name, capture in captures.items() if capture.frames}
        objects = sorted({object_id(name) for name in sequences})
        if len(objects) < 2:
            reasons = Counter(reason for capture in captures.values() for reason in capture.faults.values())
            total = sum(map(len, listed.values()))
            told = "; ".join(f"{reason} ({number} of {total} photographs)" for reason, number in reasons.most_common())
            raise UserError(f"{source}: masks of {len(objects)} object(s) can be used, 2 are needed: {told}")
        order = numpy_generator_for("own images", category).permutation(len(objects))
        apart = {objects[index] for index in order[: held_out_count(len(objects))]}
        held_out = {name for name in sequences if object_id(name) in apart}
        for name in held_out:
            for view, frame in enumerate(sequences[name]):
                frame["meta"] = frame_role(view, True)
        write_annotations(folder, category, sequences, held_out, None)
    list_category(out)
    say(
        f"import {category}: {len(sequences)} sequences of {len(objects)} objects, {len(apart)} held out: {out / category}"
    )


def _object_folders(source: Path) -> list[Path]:
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; it should hold one folder per object")
    folders = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders or any((source / name).exists() for name in ("transforms.json", "images", "sparse")):
        raise UserError(f"{source}: should hold one folder per object, each with {_formats()}")
    return folders


def _formats() -> str:
    return " or ".join(reader.name for reader in READERS)


def _read(folder: Path) -> list[Photograph]:
    for reader in READERS:
        if (place := reader.find(folder)) is not None:
            return reader.read(folder, place)
    raise UserError(f"{folder}: neither {' nor '.join(reader.name for reader in READERS)}")


def _write_capture(
    folder: Path, category: str, name: str, photographs: list[Photograph], progress: Progress
) -> _Capture:
    """Write images and masks of one capture; nothing stays of one that has no photograph that can be used."""
    for kind in ("images", "masks"):
        (folder / name / kind).mkdir(parents=True)
    capture, touching, inverted = _Capture(), [], {}
    for photograph in photographs:
        progress.advance(name)
        try:
            picture, cover, plain = read_files(photograph)
        except BadMask as error:
            capture.faults[photograph.image.name] = str(error).partition(": ")[2]
            continue
        if reason := mask_fault(cover):
            capture.faults[photograph.image.name] = reason
            continue
        file = f"frame{len(capture.frames) + 1:06d}{photograph.image.suffix.lower() if plain else '.png'}"
        if plain:
            shutil.copyfile(photograph.image, folder / name / "images" / file)
        else:
            picture.save(folder / name / "images" / file)
        Image.fromarray(cover).save(folder / name / "masks" / f"{Path(file).stem}.png")
        (viewpoint,) = cameras_to_json(photograph.camera)
        capture.frames.append(frame_entry(category, name, len(capture.frames), file, False, cover, viewpoint))
        touching.append(touches_all_borders(cover > 255 * INSIDE))
        if looks_inverted(cover > 255 * INSIDE):
            inverted[file] = photograph.image.name
    if capture_fault(touching):
        capture.faults |= {photograph.image.name: BORDERS for photograph in photographs}
        capture.frames = []
    for image in inverted.values():
        capture.faults.setdefault(image, INVERTED)
    capture.frames = [frame for frame in capture.frames if Path(frame["image"]["path"]).name not in inverted]
    for file in inverted:
        (folder / name / "images" / file).unlink()
        (folder / name / "masks" / f"{Path(file).stem}.png").unlink()
    if not capture.frames:
        shutil.rmtree(folder / name)
    return capture


def _say_faults(label: str, capture: _Capture, total: int) -> None:
    for reason in dict.fromkeys(capture.faults.values()):
        names = [name for name, other in capture.faults.items() if other == reason]
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        say(f"{label}: {len(names)} of {total} photographs left out: {reason}: {shown}")
