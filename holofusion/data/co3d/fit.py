"""Check on some frames of each sequence whether masks show an object and cameras fit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from holofusion.cameras import near_origin
from holofusion.data.co3d.reader import Frame, camera_fault, frame_cameras
from holofusion.data.images import BadMask, read_mask
from holofusion.data.masks import INSIDE, INVERTED, capture_fault, looks_inverted, mask_fault, touches_all_borders
from holofusion.data.preparation.pose_check import chosen_frames, pose_fault
from holofusion.data.preparation.silhouettes import Outline
from holofusion.utils.files import UserError

NAMED = 12  # sequences that a line names


@dataclass(frozen=True)
class FitFault:
    """Something wrong with a sequence. kind: what, the same words for every sequence that has it.

    frames: how many of those looked at have it, and how many were looked at; None where it is of all together.
    named: the photographs that have it, where they are worth a look.
    """

    sequence: str
    kind: str
    frames: tuple[int, int] | None = None
    named: tuple[str, ...] = ()


def fit_faults(sequence: str, frames: Sequence[Frame], frame_file: Path) -> list[FitFault]:
    """Faults of the masks of a sequence, and of its cameras as the masks show them. Files that cannot be read are skipped.

    frames: those with camera and mask.  frame_file: the annotations, named in errors.
    """
    frames = [frame for frame in frames if camera_fault(frame, frame_file) is None]
    chosen = chosen_frames(len(frames)) if frames else []
    numbers, insides, faults = [], [], []
    for index in chosen:
        mask = frames[index].mask
        try:
            cover = read_mask(mask) if mask else np.zeros((1, 1), np.uint8)
        except BadMask:
            faults.append("masks whose meaning cannot be told")
            continue
        except UserError:
            continue  # said by `check` itself
        if fault := mask_fault(cover):
            faults.append(fault)
        else:
            numbers.append(index)
            insides.append(cover > (255 * INSIDE if cover.max() > 255 * INSIDE else 0))
    of_all = capture_fault([touches_all_borders(inside) for inside in insides])
    inverted = [] if of_all else [place for place, inside in enumerate(insides) if looks_inverted(inside)]
    faults += [INVERTED for _ in inverted]
    numbers = [number for place, number in enumerate(numbers) if place not in inverted]
    insides = [inside for place, inside in enumerate(insides) if place not in inverted]
    counted = [FitFault(sequence, kind, (faults.count(kind), len(chosen))) for kind in dict.fromkeys(faults)]
    if of_all:
        return [*counted, FitFault(sequence, of_all)]
    if len(numbers) < 3:
        return counted
    try:
        cameras, _ = near_origin(frame_cameras(frames, frame_file))
    except UserError as error:
        return [*counted, FitFault(sequence, str(error))]
    misfit = pose_fault(cameras, [Outline.of(inside) for inside in insides], numbers)
    if misfit is None:
        return counted
    if misfit.frames:
        kind, named = "frames whose camera fits the others least", [frames[index].image.name for index in misfit.frames]
        return [*counted, FitFault(sequence, kind, (len(named), len(numbers)), tuple(named))]
    kind = "cameras do not fit the masks, and no usual mistake explains it: are they paired rightly?"
    if misfit.likely:
        kind = f"cameras do not fit the masks; likely: {', or: '.join(misfit.likely)}"
    return [*counted, FitFault(sequence, kind)]


def summed_up(faults: Sequence[FitFault], total: int) -> list[str]:
    """A line for each kind of fault: in how many of `total` sequences and of the frames looked at, and in which."""
    lines = []
    for kind in dict.fromkeys(fault.kind for fault in faults):
        of_kind = [fault for fault in faults if fault.kind == kind]
        named = [": ".join([fault.sequence, ", ".join(fault.named)][: 2 if fault.named else 1]) for fault in of_kind]
        names = ("; " if any(fault.named for fault in of_kind) else ", ").join(named[:NAMED])
        names += ", ..." if len(named) > NAMED else ""
        frames = [fault.frames for fault in of_kind if fault.frames]
        counted = f", {sum(few for few, _ in frames)} of {sum(many for _, many in frames)} frames" if frames else ""
        lines.append(f"{kind}: {len(of_kind)} of {total} sequences{counted} ({names})")
    return lines
