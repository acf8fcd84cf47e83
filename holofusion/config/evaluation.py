"""Settings of what follows sampling: pictures, surfaces, scores and the report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holofusion.config.section import Count, Positive, Section


class Render(Section):
    """Pictures of finished scenes."""

    views: Count = Field(description="scored views per scene, from the frozen cameras")
    turntable_scenes: int = Field(description="scenes, from seed 0 on, that also get a turntable", ge=0)
    turntable_frames: Count = Field(description="pictures of one full turn")
    consistency_scenes: Count = Field(description="scenes, from seed 0 on, rendered for the score of view consistency")
    consistency_views: int = Field(
        description="views of each, from real cameras all round; half of them are fitted", ge=8
    )


class Mesh(Section):
    """Surfaces of finished scenes, by marching cubes."""

    resolution: int = Field(description="samples of the density per side of the cube", ge=8, le=512)
    level: float | None = Field(
        description="density of the surface, per world unit; null: per scene, so that its outlines are those of the renders "
        "from training cameras",
        gt=0,
    )


class MeshFiles(Section):
    """The files of surfaces that other programs open."""

    faces: int = Field(description="faces of .glb and .obj, at most; a method's own mesh keeps its faces", ge=100)
    texture: int = Field(description="side of their texture, texels", ge=16, le=8192)
    length: Positive | None = Field(
        description="longest side of the box around what they hold: 1 is a unit box, other numbers are metres; null: world "
        "units"
    )
    obj: bool = Field(description="whether .obj, .mtl and .png are written beside .glb")


class Geometry(Section):
    """Scores of surfaces, against the true ones where these are known."""

    points: int = Field(description="points drawn on each surface to compare it with the true ones", ge=16)


class Intervals(Section):
    """The 95 % intervals of all scores: objects and scenes are redrawn with replacement."""

    replicates: int = Field(description="redraws behind each interval", ge=10)


class Evaluation(Section):
    """Distances between generated and real images, and what else is said of their distribution."""

    images: int = Field(
        description="images scored of every row, evenly spaced; distances of unequal numbers do not compare", ge=2
    )

    feature_network: Literal["efficientnet_lite0", "efficientnet_lite2", "inception"] = Field(
        description="part of the metric's name; only inception earns the names fid and kid"
    )
    inception_weights: str | None = Field(description="weights file for feature_network inception; never downloaded")
    other_category: str | None = Field(
        description="category that is scored as a ceiling where `categories` has one entry (of more, the next is); null: none"
    )
    kernel_subset_size: int = Field(description="images per subset of the kernel distance", ge=2)
    kernel_subsets: Count = Field(description="subsets the kernel distance is averaged over")
    reference_frames: Count = Field(description="real images per object, at most")


class Consistency(Section):
    """View consistency: a fresh static field is fitted to half of a scene's views and scored on the other half."""

    steps: Count = Field(description="optimisation steps per scene")
    rays: Count = Field(description="rays per step")
    resolution: int = Field(description="voxels per side of the field at the end", ge=8)
    samples: Count = Field(description="points per ray, on the stretch that is not empty")
    learning_rate: Positive = Field(description="Adam's step size")


class LadderSection(Section):
    """Scores of what each stage makes, from photographs to samples."""

    objects: Count = Field(description="training objects, and scenes, that are scored at every stage")
    views: Count = Field(description="views of each")


class Curve(Section):
    """Kernel distance against training time, from weights kept during training."""

    scenes: int = Field(description="scenes made with the weights of each point", ge=2)
    views: Count = Field(description="images per scene")


class Report(Section):
    """The page."""

    sample_columns: Count = Field(description="scenes shown side by side")
    viewer_scenes: int = Field(description="scenes of every row in the interactive viewer", ge=0)
    inline_megabytes: Positive = Field(
        description="size above which pictures stand beside the page instead of inside it"
    )
