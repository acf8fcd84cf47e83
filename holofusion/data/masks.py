"""Check whether masks can show an object: frame by frame, and all frames of a capture together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

INSIDE = 0.4  # coverage above which a pixel is object, as in PyTorch3D's CO3D reader
FEWEST_PIXELS = 2  # PyTorch3D's reader takes a mask of one pixel for empty
LEAST_SHARE = 1e-4  # of the photograph, that an object covers
LARGEST_SHARE = 0.98  # of the photograph; more leaves nothing that tells where the object ends
BORDER_SHARE = 0.6  # of the pixels along the borders: an inverted mask holds all but where the object is cut off

EMPTY = "its mask is empty"
TINY = "its mask covers less than an object can (under 0.01 % of the photograph)"
ALL_COVERING = "its mask covers the whole photograph"
INVERTED = "its mask is of all but the object, as it seems: inverted"
BORDERS = (
    "masks touch all four borders of the photograph in every frame: they are inverted (the object should be white), "
    "or no masks of an object"
)


def mask_fault(cover: np.ndarray) -> str | None:
    """Why a mask, coverage uint8 (H,W), cannot be that of an object in sight; None if it can."""
    if not cover.any():
        return EMPTY
    share = float((cover > 255 * INSIDE).mean())
    if share > LARGEST_SHARE:
        return ALL_COVERING
    if share * cover.size < FEWEST_PIXELS or share < LEAST_SHARE:
        # a faint mask, nowhere above the threshold, is taken as `foreground` takes it: by what there is
        faint = float((cover > 0).mean())
        return TINY if share > 0 or faint * cover.size < FEWEST_PIXELS or faint < LEAST_SHARE else None
    return None


def touches_all_borders(inside: np.ndarray) -> bool:
    """Whether a mask, bool (H,W), runs along the borders of the photograph: it touches all four, and most of their pixels.

    An object that a photograph was cropped to touches four borders too, but where it bulges.
    """
    sides = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    return all(bool(side.any()) for side in sides) and float(np.concatenate(sides).mean()) > BORDER_SHARE


def looks_inverted(inside: np.ndarray) -> bool:
    """Whether a mask, bool (H,W), runs along the borders, and covers more of them than of the whole.

    An object that is nearer than the photograph is wide covers most of the middle instead.
    """
    frame = np.concatenate([inside[0], inside[-1], inside[1:-1, 0], inside[1:-1, -1]])
    return touches_all_borders(inside) and float(frame.mean()) > float(inside.mean())


def capture_fault(touching: Sequence[bool]) -> str | None:
    """Why the masks of a capture cannot be right taken together; None if they can.

    touching: of every frame, whether its mask `touches_all_borders`.
    """
    return BORDERS if touching and all(touching) else None
