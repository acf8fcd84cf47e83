"""Which frames of which sequences are used, and which objects are held out."""

from __future__ import annotations

import numpy as np

from holofusion.data.co3d import Category, Frame
from holofusion.files import UserError
from holofusion.seeds import numpy_generator_for

MIN_FRAMES = 5  # fewer photographs give neither source and target views nor a visual hull
MIN_QUALITY = 0.5  # CO3D's viewpoint_quality_score; the limit of RelPose (Zhang et al. 2022)


def object_name(sequence: str) -> str:
    """The thing a sequence shows: the name up to `__`, if it has one; sequences `a__1`, `a__2` show one thing."""
    return sequence.split("__")[0]


def choose_frames(
    annotations: Category, listed: dict[str, dict[str, set[int]]], max_frames: int
) -> tuple[dict[str, list[Frame]], list[dict[str, str]]]:
    """Frames to use by sequence, at most `max_frames` each, evenly spaced; and the sequences dropped, with reasons.

    A sequence listed under `train` gives its training frames, any other its `val` and `test` frames.
    Raises UserError when nothing is left.
    """
    chosen, dropped = {}, []
    for name in sorted(set().union(*listed.values())):
        numbers = listed["train"].get(name) or listed["val"].get(name, set()) | listed["test"].get(name, set())
        frames = [frame for frame in annotations.frames.get(name, []) if frame.number in numbers]
        usable = [f for f in frames if f.viewpoint and f.mask and (f.mass is None or f.mass > 1)]
        quality = annotations.quality.get(name)
        if len(usable) < MIN_FRAMES:
            reason = f"{len(usable)} of {len(frames)} listed frames have a camera and a mask, {MIN_FRAMES} are needed"
        elif quality is not None and not quality >= MIN_QUALITY:
            reason = f"viewpoint_quality_score {quality:.2f} is below {MIN_QUALITY}"
        else:
            picks = np.linspace(0, len(usable) - 1, min(max_frames, len(usable))).round().astype(int)
            chosen[name] = [usable[pick] for pick in picks]
            continue
        dropped.append({"sequence": name, "reason": reason})
    if not chosen:
        first = f"{dropped[0]['sequence']}: {dropped[0]['reason']}" if dropped else "the set list is empty"
        raise UserError(f"{annotations.frame_file.parent}: no usable sequence; {first}")
    return chosen, dropped


def split_objects(names: list[str], listed: set[str], held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """Divide sequences into training and held-out ones, such that no object is in both.

    listed: sequences the set list trains on; every other one is held out, unless it shows an object trained on.
    Where that holds out none, `held_out` objects are drawn by `seed`. Raises UserError when there are too few objects.
    """
    objects = sorted({object_name(name) for name in names})
    trained = {object_name(name) for name in listed}
    apart = [thing for thing in objects if thing not in trained]
    if not apart:
        if len(objects) < held_out + 2:
            raise UserError(
                f"dataset.held_out: holding out {held_out} objects needs at least {held_out + 2}, "
                f"there are {len(objects)} usable ones"
            )
        order = numpy_generator_for(seed, "held out").permutation(len(objects))
        apart = [objects[index] for index in order[:held_out]]
    return [n for n in names if object_name(n) not in apart], [n for n in names if object_name(n) in apart]
