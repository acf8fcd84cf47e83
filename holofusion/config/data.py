"""Settings of the photographs: where they come from, and how they are prepared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holofusion.config.section import Count, Section


class Dataset(Section):
    """Where images come from, and how they are prepared."""

    source: Literal["synthetic", "co3d"] = Field(description="synthetic: embedded objects; co3d: photographs")
    root: str | None = Field(description="folder in CO3D layout; null: $CO3DV2_DATASET_ROOT (only with source co3d)")
    subset: str = Field(description="CO3D set list that divides sequences into train, val and test", min_length=1)
    min_quality: float = Field(description="least viewpoint_quality_score of a sequence")
    quality_required: bool = Field(description="whether sequences without a viewpoint_quality_score are dropped")
    min_frames: int = Field(description="fewest photographs left of a sequence, once faulty ones are dropped", ge=5)
    min_mask_mass: float = Field(description="fewest object pixels of a photograph's mask", ge=1)
    image_size: int = Field(description="side of the prepared square images, px; even", ge=16, le=1024, multiple_of=2)
    mask_threshold: float = Field(description="mask values above it are object", gt=0, lt=1)
    context: float = Field(description="rim added around the mask's box, share of its side", ge=0, le=1)
    margin: float = Field(description="free rim of the voxel cube around the object, share", ge=0, lt=0.5)
    max_frames: Count = Field(description="photographs used per sequence, evenly spaced")
    held_out: Count = Field(description="objects held out where the set list holds out none")
    evaluation_cameras: Count = Field(description="frozen real cameras from which every method is rendered")


class Download(Section):
    """Fetching CO3Dv2 into the folder of photographs; `holofusion data download` by hand has the same defaults."""

    release: Literal["full", "singlesequence"] | None = Field(
        description="fetch missing categories of this release when a run starts; null: never"
    )
    connections: int = Field(description="archives fetched at a time", ge=1, le=16)
    keep_archives: bool = Field(description="keep the archives after unpacking")


class Synthetic(Section):
    """The embedded objects."""

    objects: int = Field(description="objects per category; one in eight is held out", ge=3)
    views: int = Field(description="images per object", ge=5)
    size: int = Field(description="side of the raw images, px", ge=16, le=1024)
