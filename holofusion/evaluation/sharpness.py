"""How much fine detail pictures show: inside the object, and at its outline."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes, laplace

WHITE = 250  # 8-bit values from here on, in all channels, are background
BAND = 2  # pixels that the outline reaches to either side
SQUARE = np.ones((3, 3))
LUMINANCE = (0.299, 0.587, 0.114)


def sharpness(images: np.ndarray) -> np.ndarray:
    """Mean absolute Laplacian of the luminance inside the object, of uint8 images (n,S,S,3); (n,) float64.

    A gradient would count the soft outline of a blurred picture as detail; its second derivative is small. Pixels within
    two of the background are left out: an outline on white says nothing of texture. 0 without an object.
    """
    values = []
    for image in images:
        inside = binary_erosion((image < WHITE).any(-1), SQUARE, iterations=BAND)
        detail = np.abs(laplace(_luminance(image)))[inside]
        values.append(detail.mean() if len(detail) else 0.0)
    return np.array(values)


def outline_sharpness(images: np.ndarray) -> np.ndarray:
    """How abruptly objects end, of uint8 images (n,S,S,3) on white; (n,) float64.

    The mean absolute Laplacian of the luminance over the pixels within two of the outline, divided by how much darker
    than white the object is on average, so that pale objects do not count as soft ones. The outline is where the picture
    is half as far from white, in its most different channel, as the median pixel of the object; holes are filled, so that
    white paint has no outline. A blur lowers the value with about the square of its width. 0 without an object.
    """
    values = []
    for image in images:
        from_white = 1 - image.min(-1) / 255
        shown = (image < WHITE).any(-1)
        if not shown.any():
            values.append(0.0)
            continue
        body = binary_fill_holes(from_white > np.median(from_white[shown]) / 2)
        band = binary_dilation(body, SQUARE, iterations=BAND) & ~binary_erosion(body, SQUARE, iterations=BAND)
        light = _luminance(image)
        values.append(float(np.abs(laplace(light))[band].mean() / (1 - light[body & shown]).mean()))
    return np.array(values)


def _luminance(image: np.ndarray) -> np.ndarray:
    """Luminance (S,S) in [0, 1] of a uint8 image (S,S,3)."""
    return image.astype(float) @ LUMINANCE / 255
