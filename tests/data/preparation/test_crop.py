"""Crops and the cameras that follow, for any box, image and lens; and against PyTorch3D's own crops."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holofusion.cameras import Cameras, from_opencv
from holofusion.data.co3d.reader import Frame, frame_cameras, read_category, read_frame
from holofusion.data.preparation.crop import crop_camera, crop_square, foreground, square_around
from holofusion.data.preparation.normalise import make_sequence
from holofusion.data.preparation.visual_hull import nearest_point

SIDES = st.integers(8, 3000)


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> np.ndarray:
    """A mask (H,W) that is one box, whatever its place and size."""
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    inside = np.zeros((height, width), bool)
    inside[top : draw(st.integers(top + 1, height)), left : draw(st.integers(left + 1, width))] = True
    return inside


@settings(deadline=None, max_examples=60)
@given(data=st.data(), width=SIDES, height=SIDES, size=st.integers(16, 512), context=st.floats(0, 1))
def test_project_crop_resize_and_project_again_agree(
    data: st.DataObject, width: int, height: int, size: int, context: float
) -> None:
    """The pixel is worked out from x/z alone, as a pinhole camera would, in pixels of the photograph."""
    lens = st.floats(0.15, 45.0).map(lambda focal: focal * min(width, height))
    fx, fy = data.draw(lens), data.draw(lens)
    cx, cy = data.draw(st.floats(-0.5 * width, 1.5 * width)), data.draw(st.floats(-0.5 * height, 1.5 * height))
    square = square_around(data.draw(boxes(width, height)), context)
    left, top, side = square
    legacy = data.draw(st.booleans())
    sides, half = np.array([width, height]), (np.array([width, height]) if legacy else min(width, height)) / 2
    viewpoint = {
        "R": np.eye(3).tolist(),
        "T": [0.0, 0.0, 0.0],
        "focal_length": (np.array([fx, fy]) / half).tolist(),
        "principal_point": ((sides / 2 - [cx, cy]) / half).tolist(),
        "intrinsics_format": "ndc_norm_image_bounds" if legacy else "ndc_isotropic",
    }
    frame = Frame("a", 0, Path("a.png"), (height, width), None, None, viewpoint)
    camera = frame_cameras([frame], Path("frames"))
    focal, principal = crop_camera(camera.focal[0], camera.principal[0], (width, height), square)
    cropped = Cameras(camera.R.float(), camera.T.float(), focal[None], principal[None])
    # any pixel of the crop, and the point of space two away that is seen there
    pixel = np.array([data.draw(st.floats(0, size)), data.draw(st.floats(0, size))])
    u, v = np.array([left, top]) + pixel * side / size
    point = torch.tensor([[-2 * (u - cx) / fx, -2 * (v - cy) / fy, 2.0]], dtype=torch.float32)
    found = (1 - cropped.project(point)[0][0, 0].double().numpy()) * size / 2
    # 32-bit numbers: a small crop of a large picture far off its axis keeps fewer digits
    tolerance = 1e-3 + 4e-7 * size / side * (abs(u - cx) + abs(v - cy) + width + height)
    assert np.abs(found - pixel).max() < tolerance


@settings(deadline=None, max_examples=40)
@given(data=st.data(), width=st.integers(24, 200), height=st.integers(24, 200), size=st.sampled_from([48, 77]))
def test_the_picture_is_cut_where_the_camera_says(data: st.DataObject, width: int, height: int, size: int) -> None:
    """A red square in the photograph is found in the crop where its centre should be."""
    inside = data.draw(boxes(width, height).filter(lambda box: box.any(0).sum() > 20 and box.any(1).sum() > 20))
    columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
    u, v = (
        data.draw(st.integers(int(columns[8]), int(columns[-8]))),
        data.draw(st.integers(int(rows[8]), int(rows[-8]))),
    )
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 1:] = 200
    left, top, side = square = square_around(inside, 0.1)
    half = math.ceil(side / size)
    picture[v - half : v + half, u - half : u + half] = [255, 0, 0]
    crop, mask = crop_square(Image.fromarray(picture), inside, square, size)
    weight = (255.0 - crop[..., 1]).clip(120) - 120
    row, column = np.mgrid[:size, :size] + 0.5
    found = np.array([(column * weight).sum(), (row * weight).sum()]) / weight.sum()
    assert np.abs(found - (np.array([u - left, v - top]) * size / side)).max() < 0.5
    assert mask.max() == 255


@pytest.mark.parametrize("context", [0.1, 0.3])
def test_a_triangulated_point_lies_where_pytorch3ds_reader_puts_it(
    shared_data: Callable[[str], Path], balls: SimpleNamespace, context: float
) -> None:
    """The genuine CO3D video: both crops, brought back to the photograph, show the apple's points at the same place."""
    from pytorch3d.implicitron.dataset.json_index_dataset import JsonIndexDataset

    size, root = 256, shared_data("co3d_apple20")
    annotations = read_category(root, "apple")
    frames = annotations.frames["posediffusion_apple"]
    cameras = frame_cameras(frames, annotations.frame_file)
    option = balls.settings(image_size=size, context=context).dataset
    made = make_sequence(frames, cameras, option)
    center, rotation = torch.tensor(made.center), torch.tensor(made.rotation or np.eye(3), dtype=torch.float32)
    theirs = JsonIndexDataset(
        frame_annotations_file=str(annotations.frame_file),
        sequence_annotations_file=str(root / "apple" / "sequence_annotations.jgz"),
        dataset_root=str(root),
        load_depths=False,
        load_depth_masks=False,
        box_crop=True,
        box_crop_mask_thr=0.4,
        box_crop_context=0.3,
        image_height=size,
        image_width=size,
    )
    point = nearest_point(made.cameras)
    points = point + torch.cat([torch.zeros(1, 3), 0.5 * torch.eye(3), -0.5 * torch.eye(3)])
    world = made.scale * points @ rotation.T + center
    assert len(theirs) == len(frames) == len(made.cameras)
    for index, frame in enumerate(frames):
        data = theirs[index]
        x, y, width, height = data.crop_bbox_xywh.tolist()
        screen = data.camera.transform_points_screen(world, image_size=((size, size),))[..., :2].reshape(-1, 2)
        expected = screen.numpy() * max(width, height) / size + [x, y]
        inside = foreground(read_frame(frame)[1], 0.4)
        assert inside is not None
        left, top, side = square_around(inside, context)
        ours = (1 - made.cameras[index].project(points)[0][0].numpy()) * size / 2
        expected = (expected - [left, top]) * size / side
        assert np.abs(ours - expected).max() < 0.5
        assert (ours > 0).all() and (ours < size).all()


def test_pixels_of_the_raw_picture_are_opencvs(balls: SimpleNamespace) -> None:
    """The same camera, written as OpenCV does, sees a point at the pixel that OpenCV's formula gives."""
    rotation = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    translation, point = np.array([0.1, -0.2, 3.0]), np.array([0.3, 0.4, -0.5])
    x, y, z = rotation @ point + translation
    pixels = torch.tensor([[500.0, 510.0, 330.0, 250.0, 640.0, 480.0]])
    camera = from_opencv(torch.tensor(rotation)[None], torch.tensor(translation)[None], pixels.double())
    ndc, depth = camera.project(torch.tensor(point)[None])
    found = np.array([320.0, 240.0]) - 240.0 * ndc[0, 0].numpy()
    assert found == pytest.approx([330 + 500 * x / z, 250 + 510 * y / z]) and depth.item() == pytest.approx(z)
