"""Check a folder in CO3D layout before it is used: list what is there, and what is missing or broken, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from holofusion.cameras import near_origin
from holofusion.data.co3d.camera_paths import Turn, turn_of
from holofusion.data.co3d.download_record import unfinished
from holofusion.data.co3d.fit import fit_faults, summed_up
from holofusion.data.co3d.reader import (
    FRAME_FILE,
    Category,
    Frame,
    frame_cameras,
    read_category,
    read_frame,
    read_set_list,
)
from holofusion.data.images import BadMask
from holofusion.data.preparation.selection import choose_frames, split_objects
from holofusion.data.preparation.visual_hull import Unusable
from holofusion.utils.files import UserError
from holofusion.utils.progress import Progress

SHOWN = 5  # lines of one kind that are printed in full


@dataclass(frozen=True)
class Intact:
    """Filters that leave out only what cannot be used; params.yaml may ask for more (`dataset.min_quality` and so on)."""

    min_quality: float = 0.0
    quality_required: bool = False
    min_frames: int = 5
    min_mask_mass: float = 2.0  # PyTorch3D's reader takes a mask of one pixel for empty
    max_frames: int = 10**9


@dataclass
class Findings:
    """One category. problems: what `prepare` would stop at.  remarks: what it would leave out, and other notes.

    focal: NDC focal lengths of all cameras that are intact.  size: of the annotated images, as text.
    """

    name: str
    sequences: int = 0
    usable: int = 0
    frames: int = 0
    size: str = "-"
    focal: list[float] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def check(root: Path, categories: Sequence[str] = (), subset: str | None = None, thorough: bool = False) -> bool:
    """Print a table of the categories of a folder, or of those named, and what is wrong; True if all can be used.

    subset: the set list that `prepare` would use; None looks at every annotated frame, whatever list it is on.
    thorough: decode every image and mask instead of three of each sequence.
    Raises UserError when the folder is not there, or empty.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    names = list(categories) or sorted(path.parent.name for path in root.glob(f"*/{FRAME_FILE}"))
    if not names:
        raise UserError(f"{root}: no category in CO3D layout; expected {root}/CATEGORY/{FRAME_FILE}")
    every = [check_category(root, name, subset, thorough) for name in names]
    print(_aligned([_row(findings) for findings in every]))
    print("distance (of the world's own units) and elevation: the middle 90 %; turn covered: least and median sequence")
    for findings in every:
        for kind, lines in (("", findings.problems), ("note: ", findings.remarks)):
            more = [f"and {len(lines) - SHOWN} more like these"] if len(lines) > SHOWN else []
            for line in [*lines[:SHOWN], *more]:
                print(f"{findings.name}: {kind}{line}")
        print(f"{findings.name}: {'not usable' if findings.problems else 'usable'}")
    return not any(findings.problems for findings in every)


def check_category(root: Path, name: str, subset: str | None, thorough: bool) -> Findings:
    """Look through one category."""
    findings = Findings(name)
    if left := unfinished(root, name):
        findings.problems.append(f"its download is not finished: {', '.join(left)} to come; run it again")
    try:
        annotations = read_category(root, name)
        _count(findings, annotations)
        listed = _listed(findings, annotations, root, subset)
        frames, dropped = choose_frames(annotations, listed, Intact())
        findings.usable = len(frames)
        findings.remarks += [f"left out: {entry['sequence']}: {entry['reason']}" for entry in dropped]
    except UserError as error:
        findings.problems.append(str(error))
        return findings
    if subset is not None:
        try:
            split_objects(list(frames), set(listed["train"]), 1, 0)
        except UserError as error:
            findings.problems.append(str(error))
    progress = Progress(f"check {name}", len(frames))
    misfits = []
    for sequence, taken in frames.items():
        _check_cameras(findings, annotations, taken)
        _check_files(findings, taken, thorough)
        misfits += fit_faults(sequence, taken, annotations.frame_file)
        progress.advance(sequence)
    findings.remarks = summed_up(misfits, len(frames)) + findings.remarks
    return findings


def _count(findings: Findings, annotations: Category) -> None:
    """Enter what the annotations hold, and what they lack."""
    every = [frame for frames in annotations.frames.values() for frame in frames]
    findings.sequences, findings.frames = len(annotations.frames), len(every)
    sizes = np.array([frame.size for frame in every])
    findings.size = "x".join(_range(sizes[:, axis].min(), sizes[:, axis].max(), "d") for axis in (1, 0))
    lacks = {
        "no camera": [frame for frame in every if not frame.viewpoint],
        "no mask": [frame for frame in every if not frame.mask],
        "an empty mask": [frame for frame in every if frame.mask and frame.mass is not None and frame.mass <= 1],
    }
    for what, frames in lacks.items():
        if frames:
            counts = Counter(frame.sequence for frame in frames)
            findings.remarks.append(
                f"{what}: {len(frames)} of {len(every)} frames, in {len(counts)} of {findings.sequences} sequences,"
                f" the first {min(counts)}"
            )


def _listed(
    findings: Findings, annotations: Category, root: Path, subset: str | None
) -> dict[str, dict[str, set[int]]]:
    """The frames that `prepare` would look at; or all, after a look at every set list."""
    if subset is not None:
        return read_set_list(root, annotations.name, subset)
    numbers = {name: {frame.number for frame in frames} for name, frames in annotations.frames.items()}
    for path in sorted((root / annotations.name / "set_lists").glob("set_lists_*.json")):
        listed = read_set_list(root, annotations.name, path.stem.removeprefix("set_lists_"))
        unknown = [
            f"{name} frame {min(frames - numbers.get(name, set()))}"
            for split in listed.values()
            for name, frames in split.items()
            if not frames <= numbers.get(name, set())
        ]
        if unknown:
            findings.remarks.append(
                f"{path.name}: names frames that are not annotated, in {len(unknown)} sequences, the first {unknown[0]}"
            )
    return {"train": numbers, "val": {}, "test": {}}


def _check_cameras(findings: Findings, annotations: Category, frames: list[Frame]) -> None:
    """Look at the cameras of a sequence; enter how they move."""
    intact = []
    for frame in frames:
        try:
            findings.focal += frame_cameras([frame], annotations.frame_file).focal.flatten().tolist()
            intact.append(frame)
        except UserError as error:
            findings.problems.append(str(error))
    try:
        if intact:
            cameras, world = near_origin(frame_cameras(intact, annotations.frame_file))
            turn = turn_of(cameras)
            findings.turns.append(replace(turn, distance=turn.distance * world.unit))
    except (Unusable, UserError) as reason:
        findings.remarks.append(f"{frames[0].sequence}: {reason}")


def _check_files(findings: Findings, frames: list[Frame], thorough: bool) -> None:
    """Look whether the files of a sequence are there; decode some of them, or all."""
    decoded = range(len(frames)) if thorough else {0, len(frames) // 2, len(frames) - 1}
    for index, frame in enumerate(frames):
        missing = [path for path in (frame.image, frame.mask) if path is not None and not path.is_file()]
        findings.problems += [f"{path}: no such file, though the annotations name it" for path in missing]
        if index in decoded and not missing:
            try:
                read_frame(frame)
            except BadMask as error:
                findings.remarks.append(str(error))
            except UserError as error:
                findings.problems.append(str(error))


def _aligned(rows: list[dict[str, object]]) -> str:
    """Rows of the same keys as lines of text under these, each column aligned to the right."""
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(" ".join(map(str.rjust, line, widths)) for line in cells)


def _row(findings: Findings) -> dict[str, object]:
    """A line of the table: the middle 90 % of distance and elevation, the least and the median turn, all focal lengths."""
    row = {
        "category": findings.name,
        "sequences": findings.sequences,
        "usable": findings.usable,
        "frames": findings.frames,
        "pixels": findings.size,
        "distance": "-",
        "elevation": "-",
        "turn covered": "-",
        "focal length": "-",
    }
    if findings.turns:
        distance = np.concatenate([turn.distance for turn in findings.turns])
        elevation = np.concatenate([turn.elevation for turn in findings.turns])
        near, far = np.percentile(distance, (5, 95))
        low, high = np.percentile(elevation, (5, 95)).round() + 0.0  # no minus before a zero
        row["distance"] = _range(near, far, ".1f")
        row["elevation"] = _range(low, high, ".0f") + " deg"
        covered = [turn.covered for turn in findings.turns]
        row["turn covered"] = _range(min(covered), float(np.median(covered)), ".0f") + " deg"
        row["focal length"] = _range(min(findings.focal), max(findings.focal), ".2f")
    return row


def _range(low: float, high: float, style: str) -> str:
    first, second = f"{low:{style}}", f"{high:{style}}"
    return first if first == second else f"{first}..{second}"
