"""How much fine detail pictures show, apart from their outlines."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, laplace

WHITE = 250  # 8-bit values from here on, in all channels, are background


def sharpness(images: np.ndarray) -> np.ndarray:
    """Mean absolute Laplacian of the luminance inside the object, of uint8 images (n,S,S,3); (n,) float64.

    A gradient would count the soft outline of a blurred picture as detail; its second derivative is small. Pixels within
    two of the background are left out: an outline on white says nothing of texture. 0 without an object.
    """
    found = []
    for image in images:
        light = image.astype(float) @ (0.299, 0.587, 0.114) / 255
        inside = binary_erosion((image < WHITE).any(-1), np.ones((3, 3)), iterations=2)
        detail = np.abs(laplace(light))[inside]
        found.append(detail.mean() if len(detail) else 0.0)
    return np.array(found)
