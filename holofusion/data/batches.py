"""Draw training batches: several views of several objects, and random pixels of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.data.prepared import PreparedCategory


@dataclass(frozen=True)
class ViewBatch:
    """B objects with V views each: images (B, V, 3, S, S) in [0, 1], masks (B, V, 1, S, S), B * V cameras in that order."""

    names: list[str]
    images: Tensor
    masks: Tensor
    cameras: Cameras

    def views(self, which: slice) -> ViewBatch:
        """The same objects with a part of their views."""
        objects, count = self.images.shape[:2]
        rows = torch.arange(objects * count).reshape(objects, count)[:, which].flatten()
        return ViewBatch(self.names, self.images[:, which], self.masks[:, which], self.cameras[rows])

    def objects(self, which: slice) -> ViewBatch:
        """A part of the objects with all their views."""
        objects, count = self.images.shape[:2]
        rows = torch.arange(objects * count).reshape(objects, count)[which].flatten()
        return ViewBatch(self.names[which], self.images[which], self.masks[which], self.cameras[rows])

    def resized(self, size: int) -> ViewBatch:
        """The same views at side `size`, by area averaging."""
        if size == self.images.shape[-1]:
            return self
        return ViewBatch(self.names, resize_views(self.images, size), resize_views(self.masks, size), self.cameras)


def resize_views(images: Tensor, size: int) -> Tensor:
    """(B, V, C, S, S) -> (B, V, C, size, size), area averaging when shrinking."""
    flat = F.interpolate(images.flatten(0, 1), size=(size, size), mode="area")
    return flat.unflatten(0, images.shape[:2])


def draw_batch(
    data: PreparedCategory, objects: int, views: int, generator: torch.Generator, device: torch.device
) -> ViewBatch:
    """Random training objects, each with random distinct views, as in `draw_views`."""
    chosen = torch.randperm(len(data.train), generator=generator)[:objects].tolist()
    if len(chosen) < objects:
        chosen = torch.randint(len(data.train), (objects,), generator=generator).tolist()
    return draw_views(data, [data.train[index] for index in chosen], views, generator, device)


def draw_views(
    data: PreparedCategory, names: list[str], views: int, generator: torch.Generator, device: torch.device
) -> ViewBatch:
    """Random distinct views of each named object (repeated only when it has fewer than `views`)."""
    rows: list[int] = []
    for name in names:
        frames = data.frames[name]
        order = torch.cat([torch.randperm(len(frames), generator=generator) for _ in range(-(-views // len(frames)))])
        rows += [frames[index] for index in order[:views].tolist()]
    images, masks, cameras = data.batch(rows)
    shape = (len(names), views)
    images, masks = (part.unflatten(0, shape).to(device, non_blocking=True) for part in (images, masks))
    return ViewBatch(names, images, masks, cameras.to(device))


def pick_pixels(masks: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Flat indices (N, count) of random pixels of masks (N, 1, S, S), object pixels five times as likely as others.

    In double precision, sums of fp32 masks are exact in any order: every device picks the same.
    """
    cumulative = (masks.flatten(1).double() + 0.25).cumsum(1)
    share = torch.rand((len(masks), count), generator=generator, dtype=torch.float64)
    target = share.to(masks.device, non_blocking=True) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target).clamp_max(cumulative.shape[1] - 1)


def take_pixels(images: Tensor, pixels: Tensor) -> Tensor:
    """Values (N, count, C) of images (N, C, S, S) at flat indices (N, count)."""
    return images.flatten(2).gather(2, pixels[:, None].expand(-1, images.shape[1], -1)).transpose(1, 2)
