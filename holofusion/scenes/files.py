"""Table of the kinds of scenes, and a function that reads any of them. A kind is one class and one line of SCENES."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from holofusion.config.messages import explain, nearest
from holofusion.pipeline.registry import class_named
from holofusion.scenes.base import FACTS, TENSORS, Scene
from holofusion.utils.files import UserError, read_json

SCENES = {
    # kind: "module:Class" of a holofusion.scenes.base.Scene
    "voxel": "holofusion.scenes.voxel:VoxelScene",
    "sparse_voxel": "holofusion.scenes.voxel:SparseVoxelScene",
    "superresolved": "holofusion.methods.superresolution:SuperResolvedScene",
    "pigan": "holofusion.methods.pigan:PiGanScene",
    "graf": "holofusion.methods.graf:GrafScene",
    "eg3d": "holofusion.methods.eg3d:EG3DScene",
    "mesh": "holofusion.methods.get3d:StyledMeshScene",
    "painted_mesh": "holofusion.scenes.mesh:PaintedMeshScene",
}


def load_scene(folder: Path | str, device: torch.device | str = "cpu") -> tuple[Scene, dict[str, Any]]:
    """A scene, on the device, and the content of its scene.json.

    Raises UserError naming the file and what is wrong: no scene, a kind that is not listed, facts that do not fit it, or
    tensors that are missing, damaged or of another shape.
    """
    folder = Path(folder)
    content = read_json(folder / FACTS)
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in SCENES:
        raise UserError(f"{folder / FACTS}: unknown kind of scene {kind!r}; {nearest(str(kind), SCENES)}")
    scene_class: type[Scene] = class_named(SCENES[kind])
    try:
        facts = scene_class.Facts.model_validate(content.get("facts"))
    except ValidationError as error:
        key, message = explain(error, scene_class.Facts)[0]
        raise UserError(f"{folder / FACTS}: facts.{key}: {message}") from None
    try:
        tensors = load_file(folder / TENSORS, device=str(device))
        return scene_class.from_tensors(tensors, facts), content
    except FileNotFoundError:
        raise UserError(f"{folder / TENSORS}: no such file") from None
    except KeyError as error:
        raise UserError(f"{folder / TENSORS}: holds no tensor {error}, which a scene of kind {kind!r} has") from None
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"{folder / TENSORS}: not the tensors of a scene of kind {kind!r} ({reason})") from None
