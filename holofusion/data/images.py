"""Decode photographs and masks, in the formats and orientations that people have. Nothing else decodes them.

The rule of every mode is written down for readers in `docs/photographs.md` and tested one by one in
`tests/data/test_images.py`. Whatever cannot be told apart is refused rather than guessed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from holofusion.utils.files import UserError

ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, 2 to 8 are turned or mirrored
WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # more than eight bits a pixel, grey
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "JPEG2000", "AVIF")  # values are off by a little, most near edges

OPAQUE_ALPHA = 250  # of 255: an alpha channel that is nowhere lower says nothing
RINGING = 32  # of 255: how far a lossy file may be off
LABEL_MAX = 15  # of 255: three or more values up to here are numbers of things, not coverage
COLOUR_SPREAD = 32  # of 255: difference of the channels from which a pixel has a colour
LABEL_COLOURS = 64  # a mask of fewer distinct colours is a map of labels, not a picture
FEW_VALUES = 8  # a mask of fewer values has areas of each only if these are labels, or the unknown part of a trimap
FLAT_SHARE = 0.005  # of the pixels, that such areas have at least
TOP = 0.97  # of the highest value: most of a matte's inside lies there
LOW_TOP = 0.9  # of full scale, below which the highest value of a matte is what means inside
DIM = 4095  # of 65535: the highest value that 12 bits hold
BETWEEN_SHARE = 0.6  # of the pixels between 10 % and 90 %, from which a picture is no mask


class BadMask(UserError):
    """A mask that can be decoded but whose meaning cannot be told."""


def load_image(path: Path) -> Image.Image:
    """A decoded image file in its own mode.

    Raises UserError if it is missing, damaged, or marked by EXIF as turned or mirrored.
    """
    try:
        with Image.open(path) as image:
            turn = image.getexif().get(ORIENTATION, 1)  # before decoding: TIFF files are turned by it
            image.load()
    except FileNotFoundError:
        raise UserError(f"{path}: no such image file, though the annotations name it") from None
    except Exception as error:  # decoders raise anything on damaged files
        raise UserError(f"{path}: image cannot be read ({str(error) or type(error).__name__})") from None
    if turn in range(2, 9):
        raise UserError(
            f"{path}: EXIF orientation {turn}: the file is stored turned or mirrored, and whether its camera and mask "
            "are for the stored or the shown picture cannot be told; turn the pixels themselves "
            "(`mogrify -auto-orient`) and make cameras and masks from the result"
        )
    return image


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file as it is stored, from its header. Raises UserError if it is missing or no image."""
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError:
        raise UserError(f"{path}: no such image file") from None
    except Exception as error:
        raise UserError(f"{path}: image cannot be read ({str(error) or type(error).__name__})") from None


def read_photograph(path: Path) -> Image.Image:
    """A photograph in RGB, 8 bit, without alpha. Raises UserError as `load_image`."""
    return as_rgb(load_image(path), path)


def read_mask(path: Path) -> np.ndarray:
    """The mask in an image file: coverage uint8 (H,W), 255 inside. Raises UserError as `load_image`, and BadMask."""
    return mask_of(load_image(path), path)


def as_rgb(image: Image.Image, path: Path) -> Image.Image:
    """A decoded photograph in RGB, 8 bit; alpha is dropped, 16 bit scaled down. path: named in errors."""
    if image.mode in WIDE_MODES:
        values = _finite(np.asarray(image), path)
        if 255 < values.max() <= DIM:
            raise UserError(
                f"{path}: no value is above {values.max():g} of 65535: 10 or 12 bits, as it seems, in a file of 16; "
                "save it as 8 bit, or scale it to 65535"
            )
        return Image.fromarray((values * (255 / _full_scale(values, path))).round().astype(np.uint8)).convert("RGB")
    try:
        opaque = image.convert("RGBA") if image.mode in ("P", "PA", "La", "RGBa") else image
        return opaque.convert("RGB")
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: colours of mode {image.mode} cannot be read ({error}); save it as RGB") from None


def alpha_of(image: Image.Image) -> np.ndarray | None:
    """The alpha channel uint8 (H,W) of a decoded image; None where there is none, or it is opaque throughout."""
    if not image.has_transparency_data or image.mode in WIDE_MODES:
        return None
    alpha = np.asarray(image.convert("RGBA"))[..., 3]
    return None if alpha.min() >= OPAQUE_ALPHA else alpha


def mask_of(image: Image.Image, path: Path) -> np.ndarray:
    """The mask that a decoded image holds, uint8 (H,W): alpha where it differs between pixels, else brightness.

    Two values are outside and inside, whatever they are; one value is nothing (0) or everything.
    path: named in errors. Raises BadMask for labels of several things and for pictures that are no masks.
    """
    lossy = image.format in LOSSY_FORMATS
    alpha = alpha_of(image)
    if alpha is not None and alpha.max() > alpha.min():
        return coverage(alpha, 255, lossy, path)
    if image.mode in WIDE_MODES:
        values = _finite(np.asarray(image), path)
        return coverage(values, _full_scale(values, path), lossy, path)
    if image.mode in ("1", "L", "LA"):
        return coverage(np.asarray(image.convert("L")), 255, lossy, path)
    colours = np.asarray(as_rgb(image, path))
    if not lossy and _is_label_map(colours):
        raise BadMask(f"{path}: mask has several colours, one a thing as it seems; save one with white for the object")
    brightest = colours.max(2)
    if image.mode == "P" and brightest.min() == brightest.max():  # colours of equal brightness: entry 0 is outside
        return coverage(np.asarray(image), 255, lossy, path)
    if brightest.min() == brightest.max() and colours.min() < colours.max():
        raise BadMask(f"{path}: mask has colours that are equally bright; save one with white for the object")
    return coverage(brightest, 255, lossy, path)


def coverage(values: np.ndarray, full: float, lossy: bool, path: Path) -> np.ndarray:
    """Coverage uint8 (H,W) from the values of one channel. full: the value that means inside. Raises BadMask."""
    low, high = values.min(), values.max()
    if low == high or (low > 0 and high > full * LABEL_MAX / 255 and high - low < 0.02 * full):
        return np.full(values.shape, 255 if high > 0 else 0, np.uint8)
    inside = values == high
    two = bool((inside | (values == low)).all())
    if two and not (lossy and high <= LABEL_MAX):
        return inside.astype(np.uint8) * 255
    if full >= 255 and not two and not lossy and _has_flat_middle(values):
        raise BadMask(
            f"{path}: mask holds few values from {low:g} to {high:g}, and areas of each: labels of several things, or a "
            "trimap; save one with 0 outside and 255 inside"
        )
    if (full < 255 or high > LABEL_MAX) and high < LOW_TOP * full and _has_flat_top(values, high):
        full = float(high)  # percent, 12 bits in a file of 16, a matte that was dimmed
    if full >= 255 and high * (255 / full) <= LABEL_MAX:
        raise BadMask(
            f"{path}: mask holds values from {low:g} to {high:g} of {full:g}: labels of several things, or a mask of "
            "0 and 1 saved as JPEG; save it as PNG with 0 outside and 255 inside"
        )
    scaled = (values * (255 / full)).round().clip(0, 255)
    between = ((scaled > 25) & (scaled < 230)).mean()
    if between > BETWEEN_SHARE:
        raise BadMask(
            f"{path}: {between:.0%} of the mask's pixels are neither inside nor outside: a photograph or a depth map, "
            "as it seems, not a mask"
        )
    if lossy:
        scaled = np.where(scaled < RINGING, 0, np.where(scaled > 255 - RINGING, 255, scaled))
    return scaled.astype(np.uint8)


def _is_label_map(colours: np.ndarray) -> bool:
    """Whether uint8 (H,W,3) is flat areas of three or more colours, of which one at least is not grey."""
    channels = colours.astype(np.int32)
    if (channels.max(2) - channels.min(2)).max() < COLOUR_SPREAD:
        return False
    distinct = np.unique(channels @ np.array([65536, 256, 1]))
    return 2 < len(distinct) <= LABEL_COLOURS


def _has_flat_middle(values: np.ndarray) -> bool:
    """Whether (H,W) has few values and areas, wider than an edge, of one that is neither the lowest nor the highest."""
    distinct = np.unique(values)
    if len(distinct) > FEW_VALUES or min(values.shape) < 3:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(values, (3, 3))
    flat = windows.min((2, 3)) == windows.max((2, 3))
    middle = values[1:-1, 1:-1]
    return bool((flat & (middle > distinct[0]) & (middle < distinct[-1])).mean() > FLAT_SHARE)


def _has_flat_top(values: np.ndarray, high: float) -> bool:
    """Whether most of what is bright in (H,W) is as bright as its highest value, as inside an object."""
    bright = values[values > high / 2]
    return float((bright > TOP * high).mean()) > 0.5


def _finite(values: np.ndarray, path: Path) -> np.ndarray:
    values = values.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise UserError(f"{path}: image has values that are negative or not finite")
    return values


def _full_scale(values: np.ndarray, path: Path) -> float:
    """The value that means white in a picture of more than 8 bits: the least of 1 (fractions only), 255 and 65535."""
    high = values.max()
    if high > 65535:
        raise UserError(f"{path}: image has values up to {high:g}; 65535 is white at 16 bit")
    if high <= 1 and (values % 1).any():
        return 1.0
    return 255.0 if high <= 255 else 65535.0
