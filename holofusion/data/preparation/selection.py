"""Choose the frames of each sequence, and the objects that are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from holofusion.data.co3d.reader import Category, Frame, camera_fault
from holofusion.utils.files import UserError
from holofusion.utils.random import numpy_generator_for

SMALL = "its mask is smaller than dataset.min_mask_mass"


def object_id(sequence: str) -> str:
    """The object a sequence shows: the name up to `__`, if it has one; sequences `a__1`, `a__2` show one object."""
    return sequence.split("__")[0]


class FilterSettings(Protocol):
    """What is read of the `dataset` section of params.yaml."""

    @property
    def min_quality(self) -> float: ...  # least viewpoint_quality_score

    @property
    def quality_required(self) -> bool: ...  # whether sequences without a score are dropped

    @property
    def min_frames(self) -> int: ...

    @property
    def min_mask_mass(self) -> float: ...  # fewest object pixels of a photograph's mask

    @property
    def max_frames(self) -> int: ...  # photographs used per sequence


def choose_frames(
    annotations: Category, listed: dict[str, dict[str, set[int]]], settings: FilterSettings
) -> tuple[dict[str, list[Frame]], list[dict[str, str]]]:
    """Frames to use by sequence, evenly spaced; and what is dropped, sequences and single frames, with reasons.

    A sequence listed under `train` gives its training frames, any other its `val` and `test` frames.
    Raises UserError when nothing is left.
    """
    chosen, dropped = {}, []
    for name in sorted(set().union(*listed.values())):
        numbers = listed["train"].get(name) or listed["val"].get(name, set()) | listed["test"].get(name, set())
        frames = [frame for frame in annotations.frames.get(name, []) if frame.number in numbers]
        reasons = {frame.number: _fault(frame, settings, annotations.frame_file) for frame in frames}
        faults = {number: fault for number, fault in reasons.items() if fault}
        usable = [frame for frame in frames if frame.number not in faults]
        reason = _quality_fault(annotations.quality.get(name), settings)
        if len(usable) < settings.min_frames:
            reason = (
                f"{len(usable)} of {len(frames)} listed frames have a camera and a mask, {settings.min_frames} are needed"
                + (f"; {tally(faults)}" if faults else "")
            )
        if reason is None:
            picks = np.linspace(0, len(usable) - 1, min(settings.max_frames, len(usable))).round().astype(int)
            chosen[name] = [usable[pick] for pick in picks]
            reason = left_out(faults, len(frames)) if faults else None
        if reason is not None:
            dropped.append({"sequence": name, "reason": reason})
    if not chosen:
        first = f"{dropped[0]['sequence']}: {dropped[0]['reason']}" if dropped else "the set list is empty"
        raise UserError(f"{annotations.frame_file.parent}: no usable sequence; {first}")
    return chosen, dropped


def _quality_fault(quality: float | None, settings: FilterSettings) -> str | None:
    if quality is None:
        return "it has no viewpoint_quality_score" if settings.quality_required else None
    if not quality >= settings.min_quality:
        return f"viewpoint_quality_score {quality:.2f} is below {settings.min_quality}"
    return None


def _fault(frame: Frame, settings: FilterSettings, frame_file: Path) -> str | None:
    if not frame.viewpoint:
        return "it has no camera"
    if not frame.mask:
        return "it has no mask"
    # of masks with values 0 and 1 the annotated mass may be 255 times too small: the mask itself is counted later
    if frame.mass is not None and frame.mass * 255 < settings.min_mask_mass:
        return SMALL
    return camera_fault(frame, frame_file)


def left_out(faults: dict[int, str], count: int) -> str:
    """What is said of a sequence that is kept without some of its `count` frames; faults: reason by frame number."""
    return f"kept, but for {len(faults)} of {count} frames: {tally(faults)}"


def tally(faults: dict[int, str]) -> str:
    """Reasons with the numbers of their frames, eight at most each: `its mask is empty (frames 3, 17)`."""
    parts = []
    for reason in dict.fromkeys(faults.values()):
        numbers = [str(number) for number, other in faults.items() if other == reason]
        shown = ", ".join(numbers[:8]) + (", ..." if len(numbers) > 8 else "")
        parts.append(f"{reason} ({'frame' if len(numbers) == 1 else 'frames'} {shown})")
    return "; ".join(parts)


def split_objects(names: list[str], listed: set[str], held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """Divide sequences into training and held-out ones, such that no object is in both.

    listed: sequences the set list trains on; every other one is held out, unless it shows an object trained on.
    Where that holds out none, `held_out` objects are drawn by `seed`. Raises UserError when there are too few objects.
    """
    objects = sorted({object_id(name) for name in names})
    trained = {object_id(name) for name in listed}
    apart = [name for name in objects if name not in trained]
    if not apart:
        if len(objects) < held_out + 2:
            raise UserError(
                f"dataset.held_out: holding out {held_out} objects needs at least {held_out + 2}, "
                f"there are {len(objects)} usable ones"
            )
        order = numpy_generator_for(seed, "held out").permutation(len(objects))
        apart = [objects[index] for index in order[:held_out]]
    return [n for n in names if object_id(n) not in apart], [n for n in names if object_id(n) in apart]
