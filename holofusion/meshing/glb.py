"""Textured triangle meshes as GLB files (binary glTF 2.0)."""

from __future__ import annotations

import json
import struct

import numpy as np

FLOAT, UINT = 5126, 5125  # glTF's numbers for kinds of values
VERTICES, INDICES = 34962, 34963  # and for what they are used as


def glb_bytes(vertices: np.ndarray, normals: np.ndarray, places: np.ndarray, faces: np.ndarray, png: bytes) -> bytes:
    """Vertices and unit normals (M, 3), places in the texture (M, 2) and faces (F, 3), at least one, as binary glTF 2.0.

    png: the texture's file, sRGB. Places are in [0, 1] from its upper left corner. The material is unlit, since colours
    carry their shading; what does not know unlit materials finds a rough, matt one.
    """
    columns = [vertices.astype("<f4"), normals.astype("<f4"), places.astype("<f4"), faces.ravel().astype("<u4")]
    kinds = [("VEC3", FLOAT, VERTICES), ("VEC3", FLOAT, VERTICES), ("VEC2", FLOAT, VERTICES), ("SCALAR", UINT, INDICES)]
    accessors = [
        {"bufferView": index, "componentType": number, "type": kind, "count": len(column)}
        for index, (column, (kind, number, _)) in enumerate(zip(columns, kinds, strict=True))
    ]
    accessors[0] |= {"min": columns[0].min(0).tolist(), "max": columns[0].max(0).tolist()}
    data, views = b"", []
    for part, use in [*((column.tobytes(), kind[2]) for column, kind in zip(columns, kinds, strict=True)), (png, None)]:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(part)} | ({"target": use} if use else {}))
        data += part + b"\0" * (-len(part) % 4)
    attributes = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}
    colour = {"baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 1}
    content = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 3, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": colour, "extensions": {"KHR_materials_unlit": {}}}],
        "extensionsUsed": ["KHR_materials_unlit"],
        "textures": [{"source": 0}],
        "images": [{"bufferView": len(views) - 1, "mimeType": "image/png"}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
