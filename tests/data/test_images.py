"""What a mask or a photograph means in every mode; the truth is a disc drawn here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holofusion.data.images import BadMask, read_mask, read_photograph
from holofusion.utils.files import UserError

Y, X = np.mgrid[:48, :64]
DISC = (X - 30) ** 2 + (Y - 25) ** 2 < 15**2
COLOURS = np.stack([X * 3, Y * 4, 200 - X], axis=2).astype(np.uint8)


def grey(inside: int, outside: int = 0, kind: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.where(DISC, inside, outside).astype(kind))


def with_alpha(colour: Image.Image) -> Image.Image:
    image = colour.convert("LA" if colour.mode == "L" else "RGBA")
    image.putalpha(grey(255))
    return image


def palette(colours: list[int], transparent: bool = False) -> Image.Image:
    image = Image.fromarray(DISC.astype(np.uint8), "L").convert("P")
    image = Image.frombytes("P", image.size, DISC.astype(np.uint8).tobytes())
    image.putpalette(colours)
    if transparent:
        image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (grey(255), "a.png"),
        (grey(1), "a.png"),
        (grey(2, 1), "a.png"),
        (grey(15), "a.png"),
        (grey(128), "a.png"),
        (grey(65535, kind=np.uint16), "a.png"),
        (grey(1, kind=np.uint16), "a.png"),
        (grey(255, kind=np.uint16), "a.tif"),
        (grey(1, kind=np.float32), "a.tif"),
        (grey(255).convert("1"), "a.png"),
        (palette([0, 0, 0, 255, 255, 255]), "a.png"),
        (palette([0, 0, 0, 128, 0, 0]), "a.png"),
        (palette([0, 0, 0, 1, 1, 1]), "a.png"),
        (palette([255, 0, 0, 0, 0, 255]), "a.png"),
        (palette([9, 9, 9, 9, 9, 9], transparent=True), "a.png"),
        (grey(255).convert("RGB"), "a.png"),
        (with_alpha(Image.new("RGB", (64, 48), "white")), "a.png"),
        (with_alpha(Image.new("RGB", (64, 48), "black")), "a.png"),
        (with_alpha(Image.new("L", (64, 48), 255)), "a.png"),
        (with_alpha(Image.fromarray(COLOURS)), "a.png"),
        (grey(255).convert("RGBA"), "a.png"),
        (grey(255).convert("LA"), "a.png"),
    ],
)
def test_a_mask_is_the_disc_whatever_its_mode(tmp_path: Path, image: Image.Image, name: str) -> None:
    image.save(tmp_path / name)
    assert np.array_equal(read_mask(tmp_path / name), DISC * np.uint8(255))


def test_ringing_of_jpeg_leaves_no_speck(tmp_path: Path) -> None:
    grey(255).save(tmp_path / "a.jpg", quality=60)
    mask = read_mask(tmp_path / "a.jpg")
    assert ((mask > 102) == DISC).mean() > 0.99
    far = (X - 30) ** 2 + (Y - 25) ** 2 > 25**2
    assert not mask[far].any() and (mask[(X - 30) ** 2 + (Y - 25) ** 2 < 5**2] == 255).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_soft_matte_keeps_its_values(tmp_path: Path, kind: type) -> None:
    soft = (np.clip(20 - np.hypot(X - 30, Y - 25), 0, 10) / 10).round(3)
    full = np.iinfo(kind).max
    Image.fromarray((soft * full).astype(kind)).save(tmp_path / "a.png")
    assert np.abs(read_mask(tmp_path / "a.png") / 255 - soft).max() < 0.005


@pytest.mark.parametrize(
    ("top", "kind"), [(100, np.uint8), (200, np.uint8), (4095, np.uint16), (1023, np.uint16), (65280, np.uint16)]
)
def test_the_flat_top_of_a_matte_is_inside(tmp_path: Path, top: int, kind: type) -> None:
    soft = (np.clip(20 - np.hypot(X - 30, Y - 25), 0, 3) / 3).round(3)
    Image.fromarray((soft * top).astype(kind)).save(tmp_path / "a.png")
    assert np.abs(read_mask(tmp_path / "a.png") / 255 - soft).max() < 0.015


def test_a_faint_guess_is_not_made_the_object(tmp_path: Path) -> None:
    """A network's answer for a photograph without the object: brightest in one place, and nowhere flat."""
    faint = np.exp(-((X - 30) ** 2 + (Y - 25) ** 2) / 200) * 60
    Image.fromarray(faint.astype(np.uint8)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").max() <= 60


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (1, 255), (255, 255), (128, 255)], ids=["empty", "ones", "full", "half"]
)
def test_one_value_is_nothing_or_everything(tmp_path: Path, value: int, expected: int) -> None:
    Image.new("L", (8, 8), value).save(tmp_path / "a.png")
    assert (read_mask(tmp_path / "a.png") == expected).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.fromarray((DISC + 2 * (X > 40)).astype(np.uint8)), "labels of several things"),
        (Image.fromarray(np.stack([DISC * 200, (X > 40) * 200, 0 * X], 2).astype(np.uint8)), "several colours"),
        (Image.fromarray((60 + X * 2).astype(np.uint8)), "neither inside nor outside"),
        (Image.fromarray(np.where(DISC, 255, 128 * (X > 20)).astype(np.uint8)), "trimap"),
        (Image.fromarray(np.where(DISC, 1, 255 * (X > 55)).astype(np.uint8)), "labels of several things"),
        (Image.fromarray(np.where(DISC, 20, 40 * (X > 55)).astype(np.uint8)), "labels of several things"),
        (Image.fromarray(np.where(DISC[..., None], (255, 0, 0), 255).astype(np.uint8)), "equally bright"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path: Path, image: Image.Image, message: str) -> None:
    image.save(tmp_path / "a.png")
    with pytest.raises(BadMask, match=f"a.png: .*{message}"):
        read_mask(tmp_path / "a.png")


def test_jpeg_of_zeros_and_ones_is_refused(tmp_path: Path) -> None:
    grey(1).save(tmp_path / "a.jpg", quality=90)
    with pytest.raises(BadMask, match="a mask of 0 and 1 saved as JPEG"):
        read_mask(tmp_path / "a.jpg")


def test_twelve_bits_in_a_file_of_sixteen_are_no_photograph(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 16).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="a.png: no value is above 3024 of 65535: 10 or 12 bits"):
        read_photograph(tmp_path / "a.png")


def sixteen_bit() -> Image.Image:
    return Image.fromarray((COLOURS[..., 0].astype(np.uint16)) * 257)


@pytest.mark.parametrize(
    ("image", "name", "truth", "tolerance"),
    [
        (Image.fromarray(COLOURS), "a.png", COLOURS, 0),
        (sixteen_bit(), "a.png", np.repeat(COLOURS[..., :1], 3, 2), 0),
        (Image.fromarray(COLOURS[..., 0]), "a.png", np.repeat(COLOURS[..., :1], 3, 2), 0),
        (with_alpha(Image.fromarray(COLOURS)), "a.png", COLOURS, 0),
        (Image.fromarray(COLOURS).convert("CMYK"), "a.tif", COLOURS, 2),
        (Image.fromarray(COLOURS).convert("CMYK"), "a.jpg", COLOURS, 40),
        (Image.fromarray(COLOURS // 64 * 64).quantize(64), "a.png", COLOURS // 64 * 64, 40),
    ],
)
def test_a_photograph_is_rgb_whatever_its_mode(
    tmp_path: Path, image: Image.Image, name: str, truth: np.ndarray, tolerance: int
) -> None:
    image.save(tmp_path / name)
    photograph = read_photograph(tmp_path / name)
    assert photograph.mode == "RGB"
    assert np.abs(np.asarray(photograph).astype(int) - truth).max() <= tolerance


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("read", [read_mask, read_photograph])
def test_turned_files_are_refused(tmp_path: Path, name: str, orientation: int, read: Callable[[Path], object]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey(255).crop((0, 0, 48, 48)).convert("RGB").save(tmp_path / name, exif=exif)
    with pytest.raises(UserError, match=f"{name}: EXIF orientation {orientation}"):
        read(tmp_path / name)


def test_an_upright_mark_is_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    grey(255).save(tmp_path / "a.jpg", exif=exif)
    assert read_mask(tmp_path / "a.jpg").any()
