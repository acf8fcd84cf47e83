"""Photographs of one's own: embedded data written as others write it, and taken over again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from holofusion.data.importers.captures import import_images
from holofusion.data.preparation.prepare import prepare
from holofusion.data.prepared import PreparedCategory
from holofusion.data.synthetic.dataset import make_dataset
from holofusion.utils.files import UserError
from tests.data.importers.dialects import (
    SIZE,
    as_colmap,
    as_instant_ngp,
    as_nerfstudio,
    frames_of,
)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("embedded")
    make_dataset(SimpleNamespace(objects=2, views=5, size=SIZE), "donut", 0, root, 1)
    return root


@pytest.fixture
def photographs(tmp_path: Path, embedded: Path) -> Callable[..., Path]:
    """A function: exporter -> folder of photographs, one folder per object."""

    def export(write: Callable[..., None]) -> Path:
        for name, frames in frames_of(embedded).items():
            write(embedded, frames, tmp_path / "photographs" / name)
        return tmp_path / "photographs"

    return export


@pytest.mark.parametrize("write", [as_nerfstudio, as_instant_ngp, as_colmap])
def test_cameras_and_pictures_come_back(
    tmp_path: Path, embedded: Path, balls: SimpleNamespace, photographs: Callable[..., Path], write: Callable[..., None]
) -> None:
    import_images(photographs(write), tmp_path / "out", "donut")
    before, after = frames_of(embedded), frames_of(tmp_path / "out")
    assert list(before) == list(after) == ["donut_0000", "donut_0001"]
    for one, other in zip(sum(before.values(), []), sum(after.values(), []), strict=True):
        for key, value in one["viewpoint"].items():
            if key == "intrinsics_format":
                assert other["viewpoint"][key] == value
            else:
                assert np.allclose(other["viewpoint"][key], value, atol=1e-5, rtol=0), key
        assert other["mask"]["mass"] == one["mask"]["mass"] and other["image"]["size"] == [SIZE, SIZE]
    assert json.loads((tmp_path / "out/category_to_subset_name_list.json").read_text()) == {"donut": ["fewview_dev"]}
    for root, name in ((embedded, "direct"), (tmp_path / "out", "imported")):
        prepare(balls.settings(image_size=32), "donut", 0, root, tmp_path / name, "hash", 1)
    direct, imported = (PreparedCategory.load(tmp_path / name) for name in ("direct", "imported"))
    assert np.array_equal(direct.images, imported.images) and np.array_equal(direct.masks, imported.masks)
    assert np.allclose(direct.cameras.T, imported.cameras.T, atol=1e-3)


def test_whole_objects_are_held_out_and_pytorch3d_reads_them(
    tmp_path: Path, embedded: Path, photographs: Callable[..., Path]
) -> None:
    from pytorch3d.implicitron.dataset.json_index_dataset_map_provider_v2 import JsonIndexDatasetMapProviderV2

    source = photographs(as_nerfstudio)
    (source / "donut_0000").rename(source / "a__1")
    shutil.copytree(source / "a__1", source / "a__2")
    (source / "donut_0001").rename(source / "b")
    import_images(source, tmp_path / "out", "donut")
    lists = json.loads((tmp_path / "out/donut/set_lists/set_lists_fewview_dev.json").read_text())
    things = {split: {name.split("__")[0] for name, *_ in entries} for split, entries in lists.items()}
    assert things["train"] | things["test"] == {"a", "b"} and not things["train"] & things["test"]
    assert sum(map(len, lists.values())) in (20, 25)  # one thing of 15: val is test
    provider = JsonIndexDatasetMapProviderV2(
        category="donut", subset_name="fewview_dev", dataset_root=str(tmp_path / "out")
    )
    maps = provider.get_dataset_map()
    assert len(maps.train) == len(lists["train"]) and maps.train[0].fg_probability.max() > 0.9


def change_json(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "transforms.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "images/frame000002.jpg").unlink(), r"images/frame000002\.jpg: no such image file"),
        (lambda f: (f / "masks/frame000002.png").unlink(), r"masks/frame000002\.png: no such image file"),
        (
            lambda f: Image.new("L", (9, 9), 255).save(f / "masks/frame000001.png"),
            "mask is 9x9 pixels, its image .*48x48",
        ),
        (
            lambda f: Image.new("RGB", (9, 9)).save(f / "images/frame000001.jpg"),
            "image is 9x9 pixels, its camera .*48x48",
        ),
        (change_json(lambda c: c.update(k1=0.1)), r"transforms\.json: .*k1 is 0\.1; lens distortion .*undistort"),
        (change_json(lambda c: c["frames"][1].update(p1=1e-3)), r"frame000002\.jpg: p1 is 0\.001"),
        (change_json(lambda c: c.update(camera_model="OPENCV_FISHEYE")), "'OPENCV_FISHEYE': lens distortion"),
        (change_json(lambda c: c["frames"][0].update(fl_x=-3.0)), "fl_x is -3.0, which is not positive"),
        (change_json(lambda c: c["frames"][0].update(fl_x="wide")), "fl_x is 'wide', a finite number is needed"),
        (
            change_json(lambda c: c["frames"][0].pop("fl_x") and c["frames"][0].pop("fl_y")),
            "fl_x or camera_angle_x",
        ),
        (change_json(lambda c: c["frames"][0].pop("mask_path") and c.update(frames=c["frames"][:1])), None),
        (change_json(lambda c: c["frames"][3].update(transform_matrix=np.zeros((4, 4)).tolist())), "pose is singular"),
        (change_json(lambda c: c["frames"][3].update(transform_matrix=(2 * np.eye(4)).tolist())), "is not a rotation"),
        (change_json(lambda c: c["frames"][3].update(transform_matrix=[[1.0]])), "should be 4x4 numbers"),
        (change_json(lambda c: c["frames"][3].pop("file_path")), r"frames\[3\]: file_path is missing"),
        (change_json(lambda c: c.update(frames=[3])), "`frames` should be a list"),
        (lambda f: (f / "transforms.json").unlink(), "neither transforms.json nor a COLMAP model"),
        (shutil.rmtree, r"holds 1 object\(s\), at least 2 are needed"),
    ],
)
def test_mistakes_in_transforms_are_named(
    tmp_path: Path, photographs: Callable[..., Path], change: Callable[[Path], None], message: str | None
) -> None:
    source = photographs(as_nerfstudio)
    change(source / "donut_0001")
    if message is None:  # masks/NAME.png is found without mask_path
        import_images(source, tmp_path / "out", "donut")
        return
    with pytest.raises(UserError, match=message) as caught:
        import_images(source, tmp_path / "out", "donut")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def change_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "sparse/0" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            change_text("cameras.txt", "1 PINHOLE", "1 OPENCV"),
            r"cameras\.txt:2: camera model 'OPENCV' is not .*undistort",
        ),
        (change_text("cameras.txt", "1 PINHOLE 48", "1 PINHOLE"), r"cameras\.txt:2: expected CAMERA_ID"),
        (change_text("cameras.txt", "2 SIMPLE", "7 SIMPLE"), r"images\.txt:\d+: camera 2 is not in cameras\.txt"),
        (change_text("cameras.txt", "48 48", "40 40"), "image is 48x48 pixels, its camera is for 40x40"),
        (change_text("images.txt", "frame000003.jpg", "else.jpg"), r"images/else\.jpg: no such image file"),
        (change_text("images.txt", "frame000003.jpg", ""), r"images\.txt:\d+: expected IMAGE_ID"),
        (lambda f: (f / "sparse/0/images.txt").write_text("# none\n"), r"images\.txt: lists no image"),
        (lambda f: (f / "sparse/0/images.txt").write_text("1 0 0 0 0 1 2 3 1 frame000001.jpg\n\n"), "pose is singular"),
        (lambda f: (f / "sparse/0/images.txt").rename(f / "sparse/0/images.bin"), r"cameras\.bin: no such file"),
        (lambda f: shutil.rmtree(f / "masks"), r"frame000001\.jpg: no mask: give"),
    ],
)
def test_mistakes_in_colmap_models_are_named(
    tmp_path: Path, photographs: Callable[..., Path], change: Callable[[Path], None], message: str
) -> None:
    source = photographs(as_colmap)
    change(source / "donut_0001")
    with pytest.raises(UserError, match=message) as caught:
        import_images(source, tmp_path / "out", "donut")
    assert "\n" not in str(caught.value) and not (tmp_path / "out" / "donut").exists()


def test_nothing_is_overwritten_and_names_are_checked(tmp_path: Path, photographs: Callable[..., Path]) -> None:
    source = photographs(as_nerfstudio)
    (tmp_path / "out" / "donut").mkdir(parents=True)
    with pytest.raises(UserError, match="out/donut: is there already"):
        import_images(source, tmp_path / "out", "donut")
    with pytest.raises(UserError, match="--category My donut: use small letters"):
        import_images(source, tmp_path / "out", "My donut")
    with pytest.raises(UserError, match="should hold one folder per object"):
        import_images(source / "donut_0000", tmp_path / "out", "mug")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        import_images(tmp_path / "nowhere", tmp_path / "out", "mug")


def test_an_empty_mask_leaves_its_photograph_out(
    tmp_path: Path, photographs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = photographs(as_nerfstudio)
    Image.new("L", (SIZE, SIZE)).save(source / "donut_0000/masks/frame000002.png")
    import_images(source, tmp_path / "out", "donut")
    assert [len(frames) for frames in frames_of(tmp_path / "out").values()] == [4, 5]
    assert "donut_0000: 1 of 5 photographs left out: its mask is empty: frame000002.jpg" in capsys.readouterr().err


def test_inverted_masks_of_some_frames_leave_these_out(
    tmp_path: Path, photographs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = photographs(as_nerfstudio)
    for number in (2, 4):
        path = source / f"donut_0000/masks/frame{number:06d}.png"
        ImageOps.invert(Image.open(path).convert("L")).save(path)
    import_images(source, tmp_path / "out", "donut")
    frames = frames_of(tmp_path / "out")
    assert [len(of_one) for of_one in frames.values()] == [3, 5]
    files = {path.name for path in (tmp_path / "out/donut/donut_0000/masks").iterdir()}
    assert files == {"frame000001.png", "frame000003.png", "frame000005.png"}
    assert "2 of 5 photographs left out: its mask is of all but the object" in capsys.readouterr().err
