"""Triangle meshes with vertex colours as GLB files (binary glTF 2.0)."""

from __future__ import annotations

import json
import struct

import numpy as np


def glb_bytes(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> bytes:
    """Vertices (M, 3), faces (F, 3), at least one, and colours (M, 4), uint8 sRGB, as binary glTF 2.0.

    Colours are linear in COLOR_0, as glTF demands, in 16 bit (trimesh rounds them to 8), with an unlit material: they carry
    their shading.
    """
    seen = colours / 255
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)
    linear[:, 3] = 1
    columns = (vertices.astype("<f4"), (linear * 65535).round().astype("<u2"), faces.astype("<u4"))
    sizes = [column.nbytes for column in columns]
    content = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1},
                "extensions": {"KHR_materials_unlit": {}},
            }
        ],
        "extensionsUsed": ["KHR_materials_unlit"],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "type": "VEC3",
                "count": len(columns[0]),
                "min": columns[0].min(0).tolist(),
                "max": columns[0].max(0).tolist(),
            },
            {"bufferView": 1, "componentType": 5123, "normalized": True, "type": "VEC4", "count": len(columns[1])},
            {"bufferView": 2, "componentType": 5125, "type": "SCALAR", "count": columns[2].size},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": sum(sizes[:index]), "byteLength": size, "target": target}
            for index, (size, target) in enumerate(zip(sizes, (34962, 34962, 34963), strict=True))
        ],
        "buffers": [{"byteLength": sum(sizes)}],
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(column.tobytes() for column in columns)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
