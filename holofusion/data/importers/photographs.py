"""Find the mask and the camera of each of a user's photographs, and check them before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from holofusion.cameras import Cameras
from holofusion.data.images import alpha_of, as_rgb, load_image, mask_of, read_mask
from holofusion.utils.files import UserError
from holofusion.utils.progress import say

COPIED = (".jpg", ".jpeg", ".png")  # files whose bytes are taken over as they are, if they hold plain RGB or grey
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


@dataclass(frozen=True)
class Photograph:
    """One picture that is to be taken over. mask: None where it must be the picture's alpha channel.

    size: (width, height) in pixels that the camera is for.  camera: a batch of one, float64, isotropic NDC.
    """

    image: Path
    mask: Path | None
    size: tuple[int, int]
    camera: Cameras


@dataclass(frozen=True)
class Reader:
    """A format of photographs with cameras, one folder per object.

    name: of the format, as in messages.  find: the file or folder in an object's folder that tells the format, or None.
    read: (object's folder, what `find` found) -> its photographs; raises UserError naming file and fault.
    """

    name: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Path], list[Photograph]]


def mask_beside(folder: Path, image: Path | str) -> Path | None:
    """The mask of `folder`/`image` (or folder/images/...): masks/NAME.png or, extension left out, masks/STEM.png."""
    name = Path(image).as_posix().removeprefix("images/")
    for candidate in (f"{name}.png", Path(name).with_suffix(".png").as_posix()):
        if (folder / "masks" / candidate).is_file():
            return folder / "masks" / candidate
    return None


def find_image(folder: Path, name: str, listed: Path) -> Path:
    """The image file FOLDER/`name`; Windows' separators and endings left out are allowed.

    listed: the file that names it, for errors. Raises UserError when there is none, naming one that is nearly it, or when the
    name holds line breaks and the like.
    """
    if not name.isprintable():
        raise UserError(f"{listed}: names an image {name!r}, which is no name of a file")
    for spelled in (name, name.replace("\\", "/")):
        path = folder / spelled
        if path.is_file():
            return path
        for ending in IMAGE_ENDINGS:
            if (path.parent / f"{path.name}{ending}").is_file():
                return path.parent / f"{path.name}{ending}"
    path = folder / name.replace("\\", "/")
    others = path.parent.iterdir() if path.parent.is_dir() else ()
    alike = sorted(other.name for other in others if other.stem.lower() == path.stem.lower())
    hint = f"; there is {alike[0]}" if alike else ""
    raise UserError(f"{path}: no such image file, though {listed.name} names it{hint}")


def say_unlisted(folder: Path, taken: Iterable[Path], reason: str) -> None:
    """Print how many image files beside those `taken` are left out, and why; `folder` is the object's."""
    used = {path.resolve() for path in taken}
    places = {path.parent for path in taken} | ({folder / "images"} if (folder / "images").is_dir() else set())
    there = [path for place in places for path in place.iterdir() if path.suffix.lower() in IMAGE_ENDINGS]
    left = sorted({path.resolve() for path in there} - used)
    if left:
        say(
            f"{folder}: {len(left)} of {len(left) + len(used)} photographs left out: {reason}; the first {left[0].name}"
        )


def read_files(photograph: Photograph) -> tuple[Image.Image, np.ndarray, bool]:
    """The picture in RGB, its mask uint8 (H,W), and whether the image file may be copied as it is.

    Raises UserError when a file is unreadable or turned, there is no mask, or sizes disagree.
    """
    path, mask = photograph.image, photograph.mask
    image = load_image(path)
    if image.size != photograph.size:
        raise UserError(f"{path}: image is {_by(image.size)} pixels, its camera is for {_by(photograph.size)}")
    alpha = alpha_of(image)
    if mask is None and alpha is None:
        raise UserError(f"{path}: no mask: give mask_path, a file masks/{path.name}.png, or an alpha channel")
    cover = mask_of(image, path) if mask is None else read_mask(mask)
    if cover.shape != image.size[::-1]:
        size = _by((cover.shape[1], cover.shape[0]))
        raise UserError(f"{mask}: mask is {size} pixels, its image {path.name} {_by(image.size)}")
    plain = path.suffix.lower() in COPIED and image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L")
    return as_rgb(image, path), cover, plain and not image.has_transparency_data


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
