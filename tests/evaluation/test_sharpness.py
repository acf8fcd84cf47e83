"""Sharpness inside and of outlines, on pictures made by hand."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import zoom

from holofusion.evaluation.sharpness import outline_sharpness, sharpness

SIDE = 64
ROWS, COLUMNS = np.indices((SIDE, SIDE))
DISC = (ROWS - 31.5) ** 2 + (COLUMNS - 31.5) ** 2 < 20**2


def picture(texture: np.ndarray | int, body: np.ndarray = DISC) -> np.ndarray:
    """A grey texture on white, uint8 (SIDE,SIDE,3)."""
    return np.repeat(np.where(body, texture, 255).astype(np.uint8)[..., None], 3, -1)


def blurred(image: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def test_outline_of_a_square_by_hand() -> None:
    body = (abs(ROWS - 31.5) < 10) & (abs(COLUMNS - 31.5) < 10)  # 20 x 20, black
    inside, outside = 4 * 20 - 4, 4 * 20  # pixels on either side of the outline; a corner's Laplacian is 2
    band = 24**2 - 16**2
    expected = (inside + 4 + outside) / band  # |Laplacian| 1 on all of them, 2 in four corners
    assert outline_sharpness(np.stack([picture(0, body)])) == pytest.approx([expected])


def test_pale_objects_are_not_soft_ones() -> None:
    dark, pale = outline_sharpness(np.stack([picture(20), picture(200)]))
    assert dark == pytest.approx(pale, rel=0.02)


def test_texture_and_outline_are_told_apart() -> None:
    board = np.where((ROWS + COLUMNS) % 2, 60, 120)
    plain, textured = picture(90), picture(board)
    soft = blurred(plain, 2)
    mixed = soft.copy()  # sharp inside, soft outside
    deep = (ROWS - 31.5) ** 2 + (COLUMNS - 31.5) ** 2 < 13**2
    mixed[deep] = textured[deep]
    inside, outline = (measure(np.stack([plain, textured, soft, mixed])) for measure in (sharpness, outline_sharpness))
    assert inside[0] == 0 and inside[1] > 0.5
    assert outline[2] < 0.4 * outline[0] and outline[3] < 0.4 * outline[0]
    assert inside[3] > 10 * inside[2]


def test_outlines_soften_with_blur() -> None:
    values = outline_sharpness(np.stack([picture(40), *(blurred(picture(40), radius) for radius in (0.7, 1.5, 3))]))
    assert (np.diff(values) < 0).all() and values[-1] < 0.2 * values[0]


def test_paint_has_no_outline_and_nothing_has_none() -> None:
    hole = DISC & ~((ROWS - 31.5) ** 2 + (COLUMNS - 31.5) ** 2 < 8**2)
    assert outline_sharpness(picture(40, hole)[None]) == pytest.approx(outline_sharpness(picture(40)[None]))
    white = np.full((1, SIDE, SIDE, 3), 255, np.uint8)
    assert outline_sharpness(white) == sharpness(white) == 0
    small = zoom(picture(40)[..., 0], 0.5, order=1)
    assert outline_sharpness(np.repeat(small[None, ..., None], 3, -1)) > 0
