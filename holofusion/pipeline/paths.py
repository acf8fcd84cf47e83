"""Names of files and folders below the results folder."""

from __future__ import annotations


def scene_name(seed: int) -> str:
    """Name of the files and folders of the scene with sample seed `seed`: `000007`."""
    return f"{seed:06d}"
