"""The one table of metrics: their names in claims and tables, how they are written, and which end is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holofusion.utils.files import UserError


@dataclass(frozen=True)
class Metric:
    """One number that the results give of every row.

    group: the table it stands in. title, unit: its column head. range: values it can take, at which the ends of its
    intervals are cut; None: ends stay as the bootstrap gives them. better: "low", "high", or "" where neither end is
    good. scale, digits: factor and decimals it is written with.
    files: how its name begins in a metrics file, and what it is measured against, where these tell it apart.
    """

    name: str
    group: Literal["distances", "distribution", "memorisation", "consistency", "geometry", "mesh"]
    title: str
    unit: str = ""
    range: tuple[float, float] | None = None
    better: Literal["low", "high", ""] = ""
    scale: float = 1.0
    digits: int = 2
    files: tuple[tuple[str, ...], str] | None = None

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} {self.unit}".strip()

    def text(self, value: float | None) -> str:
        """The value as written; empty for None."""
        return "" if value is None else f"{value * self.scale:.{self.digits}f}".replace("-", "\u2212")

    def within(self, low: float | None, high: float | None) -> tuple[float | None, float | None]:
        """The ends of an interval, cut at the metric's range; two times None where there is no interval."""
        if low is None or high is None or self.range is None:
            return low, high
        return max(self.range[0], low), min(self.range[1], high)


SHARE = (0.0, 1.0)
THOUSAND = "× 1000"
KERNEL, FRECHET = ("kd_", "kid"), ("fd_", "fid")  # beginnings of names in files; the rest is the feature network's
MESH_KERNEL = ("mesh_kd_", "mesh_kid")
HELD_OUT = ("Held-out objects: kernel distance", "Held-out objects: Fréchet distance")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("kernel", "distances", "Kernel distance", THOUSAND, None, "low", 1000, 1, (KERNEL, "train")),
        Metric("frechet", "distances", "Fréchet distance", "", None, "low", 1, 1, (FRECHET, "train")),
        Metric("kernel_held_out", "distances", HELD_OUT[0], THOUSAND, None, "low", 1000, 1, (KERNEL, "held_out")),
        Metric("frechet_held_out", "distances", HELD_OUT[1], "", None, "low", 1, 1, (FRECHET, "held_out")),
        Metric("precision", "distribution", "Precision", range=SHARE, better="high"),
        Metric("recall", "distribution", "Recall", range=SHARE, better="high"),
        Metric("density", "distribution", "Density", better="high"),
        Metric("coverage", "distribution", "Coverage", range=SHARE, better="high"),
        Metric("diversity", "distribution", "Diversity"),
        Metric("sharpness", "distribution", "Sharpness inside"),
        Metric("sharpness_outline", "distribution", "Sharpness of outlines"),
        Metric("memorised", "memorisation", "Memorised", range=SHARE, better="low"),
        Metric("nearest_rank", "memorisation", "Rank of the nearest training object", range=SHARE),
        Metric("commonest_source", "memorisation", "Share of the commonest source", range=SHARE),
        Metric("sources", "memorisation", "Sources a sample", digits=1),
        Metric("seams", "memorisation", "Colour steps inside parts"),
        Metric("consistency_psnr", "consistency", "Held-out views, PSNR", "dB", better="high", digits=1),
        Metric("consistency_ssim", "consistency", "Held-out views, SSIM", better="high", digits=3),
        Metric("depth_warp", "consistency", "Depth-warp error", THOUSAND, better="low", scale=1000, digits=1),
        Metric("depth_warp_seen", "consistency", "Share compared", range=SHARE),
        Metric("depth_spread", "consistency", "Depth spread", digits=3),
        Metric("translucency", "consistency", "Translucency", range=SHARE),
        Metric("chamfer_coverage", "geometry", "Shapes covered", range=SHARE, better="high"),
        Metric("chamfer_mmd", "geometry", "Minimum matching distance", THOUSAND, better="low", scale=1000, digits=1),
        Metric("normal_consistency", "geometry", "Normal consistency", range=SHARE, better="high", digits=3),
        Metric("mesh_components", "geometry", "Components", better="low", digits=1),
        Metric("floaters", "geometry", "Floaters, share of surface", range=SHARE, better="low", digits=3),
        Metric("mesh_faces", "geometry", "Faces", digits=0),
        Metric("empty_meshes", "geometry", "Scenes without a surface", better="low", digits=0),
        Metric("mesh_kernel", "mesh", "Mesh: kernel distance", THOUSAND, None, "low", 1000, 1, (MESH_KERNEL, "train")),
        Metric("mesh_sharpness", "mesh", "Mesh: sharpness inside"),
        Metric("mesh_consistency_psnr", "mesh", "Mesh: held-out views, PSNR", "dB", better="high", digits=1),
        Metric("mesh_likeness", "mesh", "Mesh against field, PSNR", "dB", better="high", digits=1),
        Metric("outline_iou", "mesh", "Overlap of outlines", range=SHARE, better="high", digits=3),
        Metric("departure", "mesh", "Departure from the surface", THOUSAND, better="low", scale=1000, digits=1),
        Metric("open_edges", "mesh", "Open edges", better="low", digits=0),
        Metric("file_components", "mesh", "Components", digits=1),
        Metric("file_faces", "mesh", "Faces", digits=0),
        Metric("file_size", "mesh", "Size of the file", "MB", scale=1e-6, digits=2),
    )
}


def metric_of(name: str, reference: str | None) -> Metric:
    """The metric that a metrics file calls `name`, measured against `reference`. Raises UserError if there is none."""
    for metric in METRICS.values():
        if metric.files is not None and name.startswith(metric.files[0]) and reference == metric.files[1]:
            return metric
    if name not in METRICS:
        raise UserError(f"{name}: no such metric; known are {', '.join(METRICS)}, and distances by feature network")
    return METRICS[name]


def names_in(group: str) -> tuple[str, ...]:
    """Names of a group's metrics, in the order of its table."""
    return tuple(metric.name for metric in METRICS.values() if metric.group == group)
