"""Pictures that another program rendered: all are looked at before one is taken over, and faults are said in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from holofusion.data.images import as_rgb, load_image
from holofusion.utils.files import UserError
from holofusion.utils.progress import say

WHITE = 245  # of 255: all channels of a pixel of a white background, at least
WHITE_BORDER_SHARE = 0.05  # of the border's pixels; fewer are no white background, however large the object is


def read_external(folder: Path, files: Sequence[Path], size: int) -> list[np.ndarray]:
    """The listed pictures, uint8 (size,size,3) on white. Transparent ones are laid on white, which is said.

    folder: as in the messages; cameras.json lies in it.  size: side of the reference pictures, px.
    Raises UserError with the number of pictures that are missing, listed twice, unreadable, of another size, not on white
    or empty.
    """
    _require_present(folder, files)
    faults: dict[str, list[tuple[Path, str]]] = {}
    pictures, transparent, dark, empty = [], 0, [], []
    for path in files:
        try:
            image = load_image(path)
        except UserError as error:
            faults.setdefault("cannot be read", []).append((path, str(error).partition(": ")[2]))
            continue
        if image.size != (size, size):
            what = f"are not of {size}x{size} pixels, as the reference pictures are"
            faults.setdefault(what, []).append((path, f"{image.width}x{image.height}"))
            continue
        if image.has_transparency_data:
            transparent += 1
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        picture = np.asarray(as_rgb(image, path))
        if _white_border(picture) < WHITE_BORDER_SHARE:
            dark.append((path, "border of colour {} {} {}".format(*np.median(_border(picture), axis=0).astype(int))))
        elif picture.min() == picture.max():
            empty.append((path, f"{picture.min()} all over"))
        pictures.append(picture)
    if len(empty) > len(files) / 2:
        faults["show nothing"] = empty
    elif empty:
        say(f"note: {folder}: {len(empty)} of {len(files)} pictures show nothing, the first {empty[0][0].name}")
    if len(dark) > len(files) / 2:
        faults["are not on a white background, as the reference pictures are"] = dark
    elif dark:
        say(f"note: {folder}: {len(dark)} of {len(files)} pictures have no white border, the first {dark[0][0].name}")
    if faults:
        told = (
            f"{len(of)} of {len(files)} pictures {what} ({of[0][0].name}: {of[0][1]})" for what, of in faults.items()
        )
        raise UserError(f"{folder}: {'; '.join(told)}")
    if transparent:
        say(f"note: {folder}: {transparent} of {len(files)} pictures have an alpha channel: laid on white")
    return pictures


def _require_present(folder: Path, files: Sequence[Path]) -> None:
    missing = [path for path in files if not path.is_file()]
    listed = {path.resolve() for path in files}
    if len(listed) < len(files):
        raise UserError(f"{folder}/cameras.json: {len(files) - len(listed)} of {len(files)} pictures are listed twice")
    others = sorted(path for path in folder.rglob("*.png") if path.resolve() not in listed)
    if missing:
        there = f"; {len(others)} pictures are there that it does not list, such as {others[0].name}" if others else ""
        raise UserError(
            f"{folder}/cameras.json: {len(missing)} of {len(files)} pictures that it lists are missing, the first "
            f"{missing[0].name}{there}"
        )
    if others:
        say(f"note: {folder}: {len(others)} pictures are not listed in cameras.json, the first {others[0].name}")


def _border(picture: np.ndarray) -> np.ndarray:
    """Pixels (n,3) along the four borders."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _white_border(picture: np.ndarray) -> float:
    return float((_border(picture) >= WHITE).all(1).mean())
