"""Write a folder in CO3Dv2 layout that any CO3D reader loads."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from holofusion.utils.files import write_json

SUBSET = "fewview_dev"
HELD_OUT_SHARE = 8  # one object in eight is kept for val and test
SOURCE_VIEWS = 5  # known frames beside the target in an evaluation batch


def held_out_count(objects: int) -> int:
    """How many of `objects`, two at least, are held out: one in eight, one at least, and one stays to train on."""
    return min(max(1, round(objects / HELD_OUT_SHARE)), objects - 1)


def frame_entry(
    category: str,
    sequence: str,
    view: int,
    image: str,
    held_out: bool,
    cover: np.ndarray,
    viewpoint: dict[str, Any],
) -> dict[str, Any]:
    """The annotation of one frame; its mask is named like its image, as PNG.

    view: counted from 0.  image: file name.  cover: mask uint8 (H,W), not empty.  viewpoint: R, T, focal_length and
    principal_point, in isotropic NDC.
    """
    rows, columns = np.nonzero(cover.max(1))[0], np.nonzero(cover.max(0))[0]
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    prefix = f"{category}/{sequence}"
    return {
        "sequence_name": sequence,
        "frame_number": view + 1,
        "frame_timestamp": round(view / 10, 3),
        "image": {"path": f"{prefix}/images/{image}", "size": list(cover.shape)},
        "depth": None,
        "mask": {
            "path": f"{prefix}/masks/{Path(image).stem}.png",
            "mass": float(cover.sum(dtype=np.float64) / 255),
            "bounding_box_xywh": [float(v) for v in box],
        },
        "viewpoint": {**viewpoint, "intrinsics_format": "ndc_isotropic"},
        "meta": frame_role(view, held_out),
    }


def frame_role(view: int, held_out: bool) -> dict[str, Any]:
    """The `meta` of a frame annotation: its split, and whether it is a target (the first held-out view) or known."""
    kind = "train_known"
    if held_out:
        kind = "test_unseen" if view == 0 else "test_known"
    return {"frame_type": kind, "frame_splits": [f"multisequence_{kind.split('_')[0]}"], "eval_batch_maps": []}


def write_annotations(
    folder: Path,
    category: str,
    sequences: dict[str, list[dict[str, Any]]],
    held_out: Collection[str],
    quality: float | None,
) -> None:
    """Write annotation files, set list and evaluation batches of one category into its `folder`.

    sequences: frame annotations by name.  held_out: names of those that are val and test.  quality: the
    viewpoint_quality_score of all.
    """
    _write_jgz(folder / "frame_annotations.jgz", [frame for frames in sequences.values() for frame in frames])
    _write_jgz(
        folder / "sequence_annotations.jgz",
        [
            {
                "sequence_name": name,
                "category": category,
                "video": None,
                "point_cloud": None,
                "viewpoint_quality_score": quality,
            }
            for name in sequences
        ],
    )

    def triples(wanted: bool) -> list[list[list[Any]]]:
        return [
            [[f["sequence_name"], f["frame_number"], f["image"]["path"]] for f in frames]
            for name, frames in sequences.items()
            if (name in held_out) == wanted
        ]

    test = triples(True)
    flat = [triple for frames in test for triple in frames]
    lists = {"train": [triple for frames in triples(False) for triple in frames], "val": flat, "test": flat}
    write_json(folder / "set_lists" / f"set_lists_{SUBSET}.json", lists)
    batches = []
    for frames in test:
        step = max(1, (len(frames) - 1) // SOURCE_VIEWS)
        batches.append([frames[0], *frames[1::step][:SOURCE_VIEWS]])
    write_json(folder / "eval_batches" / f"eval_batches_{SUBSET}.json", batches)


def _write_jgz(path: Path, value: Any) -> None:
    text = json.dumps(value, allow_nan=False).encode()
    path.write_bytes(gzip.compress(text, mtime=0))  # no time stamp: same data, same bytes


def list_category(root: Path) -> None:
    """Rewrite the list of categories from the folders present; locked, as categories may be made at the same time."""
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        present = sorted(p.parent.parent.name for p in root.glob(f"[!.]*/set_lists/set_lists_{SUBSET}.json"))
        write_json(root / "category_to_subset_name_list.json", {name: [SUBSET] for name in present})
    finally:
        os.close(handle)
