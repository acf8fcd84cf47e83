"""Check whether the cameras of a capture fit its masks. If not, name the usual mistake that would explain it.

Cameras fit where the silhouettes of the visual hull are the masks. Each mistake is undone on trial, and the hull carved again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holofusion.cameras import Cameras
from holofusion.data.preparation.pose_frames import least_fitting
from holofusion.data.preparation.pose_mistakes import mistakes, orders, with_poses
from holofusion.data.preparation.silhouettes import FITS, POOR, Outline, Silhouettes, agreement

FRAMES = 24  # looked at of a capture, evenly spaced

GAIN = 0.02  # by which a mistake undone must agree better
LEFT_OVER = 0.35  # share of the disagreement that may be left by it
ALIKE = 0.01  # mistakes whose agreement is this near to the best are named too


@dataclass(frozen=True)
class PoseFault:
    """Cameras that do not fit their masks. likely: the mistakes that would explain it, the best first; none if none does.

    given: agreement as they are.  best: with the mistake undone, or without the frames that fit the others least.
    frames: numbers of these among all cameras of the capture; none where a mistake explains it, or all fit alike.
    """

    likely: tuple[str, ...]
    given: float
    best: float
    frames: tuple[int, ...] = ()

    def told(self, names: Sequence[object]) -> str:
        """What is wrong, given the names of all frames of the capture."""
        if self.frames:
            return (
                f"frames whose camera fits the others least: {', '.join(str(names[index]) for index in self.frames)} "
                f"(agreement is {self.given:.0%}, without them {self.best:.0%})"
            )
        if self.likely:
            return (
                f"its cameras do not fit its masks (agreement {self.given:.0%}); likely: {', or: '.join(self.likely)} "
                f"(undone, agreement is {self.best:.0%})"
            )
        return (
            f"its cameras fit its masks badly (agreement {self.given:.0%}), and no usual mistake explains it: are "
            "photographs, masks and cameras paired rightly?"
        )


def chosen_frames(count: int) -> list[int]:
    """Which of `count` frames to look at."""
    return sorted(set(np.linspace(0, count - 1, min(FRAMES, count)).round().astype(int).tolist()))


def pose_fault(cameras: Cameras, outlines: Sequence[Outline], frames: Sequence[int]) -> PoseFault | None:
    """What is wrong with the cameras of a capture; None if they fit the masks.

    cameras: all N of the capture in the order of its frames, of the uncropped photographs, near the origin.
    outlines: masks of some of its frames; FRAMES of them are looked at.  frames: the number of each, below N.
    """
    chosen = chosen_frames(len(outlines))
    silhouettes = Silhouettes.of([outlines[index] for index in chosen])
    numbers = [frames[index] for index in chosen]
    given = agreement(cameras[numbers], silhouettes)
    if given >= FITS:
        return None
    trials: dict[str, float] = {}
    for name, others, outlined in _trials(cameras, silhouettes, numbers):
        trials[name] = max(trials.get(name, 0.0), agreement(others, outlined))
    best = max(trials.values())
    if best > given + GAIN and 1 - best < LEFT_OVER * (1 - given):
        likely = sorted((name for name in trials if trials[name] > best - ALIKE), key=lambda name: -trials[name])
        return PoseFault(tuple(likely[:3]), given, best)
    least, rest = least_fitting(cameras[numbers], silhouettes)
    if least and rest > given + GAIN and 1 - rest < LEFT_OVER * (1 - given):
        return PoseFault((), given, rest, tuple(numbers[index] for index in least))
    return PoseFault((), given, best) if given < POOR else None


def _trials(
    cameras: Cameras, silhouettes: Silhouettes, frames: list[int]
) -> Iterator[tuple[str, Cameras, Silhouettes]]:
    """Name of a mistake, cameras with it undone, silhouettes with it undone."""
    yield "photographs or poses are mirrored, left for right", cameras[frames], silhouettes.mirrored()
    for name, undo in mistakes():
        yield name, with_poses(cameras[frames], undo), silhouettes
    for name, order in orders(len(cameras)):
        yield name, cameras[[order[frame] for frame in frames]], silhouettes
