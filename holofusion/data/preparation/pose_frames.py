"""Single frames of a capture whose camera does not fit its mask, where those of the others do."""

from __future__ import annotations

from holofusion.cameras import Cameras
from holofusion.data.preparation.silhouettes import FITS, POOR, Silhouettes, fits

FEWEST = 6  # frames, of which single ones can be told to be at odds with the others
WRONG = 0.4  # share of the frames that may be
MAJORITIES = (0.95, 0.75, 0.6)  # of the masks, that hold a voxel of the hull: loose, until wrong frames are known
SHARE, DEVIATIONS = 0.8, 10.0  # a frame is named that fits less than so much of the median, and so far below it
LEAST_DEVIATION = 0.01  # of fits; those of exact masks hardly differ


def least_fitting(cameras: Cameras, silhouettes: Silhouettes) -> tuple[list[int], float]:
    """The frames that fit the visual hull of the others far less than these do, and the mean fit of the others, 0 to 1.

    The frame that fits the hull worst is left out of it, one by one, until those that are left fit it well.
    """
    count = len(cameras)
    trusted = list(range(count))
    found = fits(cameras, silhouettes, trusted, MAJORITIES)
    alike = found.mean() >= POOR and found.min() >= SHARE * found.median()
    if count < FEWEST or alike:
        return [], float(found.mean())
    while found[trusted].mean() < FITS and len(trusted) > (1 - WRONG) * count:
        trusted.remove(min(trusted, key=lambda index: float(found[index])))
        found = fits(cameras, silhouettes, trusted, MAJORITIES)
    typical = found[trusted].median()
    spread = 1.4826 * (found[trusted] - typical).abs().median()  # the standard deviation of a normal distribution
    limit = min(SHARE * typical, typical - DEVIATIONS * spread.clamp_min(LEAST_DEVIATION))
    least = [index for index in range(count) if index not in trusted and found[index] < limit]
    return least, float(found[trusted].mean())
