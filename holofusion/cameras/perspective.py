"""Cameras: the one place where the camera convention is written down.

PyTorch3D's NDC convention, which is CO3D's own. Row vectors: `X_cam = X_world R + T`, with +x left, +y up and +z into
the scene; `ndc = focal * (x, y) / z + principal`. Images are square, side S pixels: NDC +1 is the left (upper) border,
so a point lands at `u = S/2 (1 - ndc_x)`, `v = S/2 (1 - ndc_y)`, with pixel centres at +0.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holofusion.utils.extras import optional
from holofusion.utils.files import UserError

if TYPE_CHECKING:
    from pytorch3d.renderer import PerspectiveCameras

CONVENTION = "pytorch3d_ndc"
CAMERA_KEYS = ("R", "T", "focal_length", "principal_point")  # of a camera as JSON

# Worlds that `near_origin` leaves alone: float32 keeps seven digits, of which cameras need five.
NEAR = 16.0  # distance of the cameras' middle from the origin, in radii of the cameras around it
SMALLEST, LARGEST = 1e-2, 1e4  # that radius in world units
FARTHEST = 1e10  # as NEAR: double precision keeps sixteen digits
COINCIDENT = 1e-14  # radius, as a share of the distance, that is rounding


@dataclass(frozen=True)
class Cameras:
    """A batch of B cameras, float32 tensors on one device (float64 where they come from a file and go into one).

    R: world-to-camera rotations (B,3,3), applied from the right.  T: translations (B,3).
    focal, principal: focal length and principal point in NDC (B,2), x then y.
    """

    R: Tensor
    T: Tensor
    focal: Tensor
    principal: Tensor

    def __post_init__(self) -> None:
        count = len(self.R)
        expected = {"R": (count, 3, 3), "T": (count, 3), "focal": (count, 2), "principal": (count, 2)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"cameras: {name} has shape {tuple(getattr(self, name).shape)}, expected {shape}")

    def __len__(self) -> int:
        return len(self.R)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Cameras:
        """The chosen cameras, always as a batch: an integer gives a batch of one."""
        if isinstance(index, int):
            first = range(len(self))[index]
            index = slice(first, first + 1)
        elif not isinstance(index, slice):
            # one copy to a GPU, not one for each part
            index = torch.as_tensor(index, dtype=None if isinstance(index, Tensor) else torch.long)
            index = index.to(self.R.device, non_blocking=self.R.device.type != "cpu")
        return Cameras(self.R[index], self.T[index], self.focal[index], self.principal[index])

    def to(self, device: torch.device | str) -> Cameras:
        # a copy to the CPU has to be there before it is read
        parts = (self.R, self.T, self.focal, self.principal)
        return Cameras(*(part.to(device, non_blocking=torch.device(device).type != "cpu") for part in parts))

    @staticmethod
    def cat(parts: Sequence[Cameras]) -> Cameras:
        """One batch from several, in order."""
        return Cameras(
            *(torch.cat([getattr(part, name) for part in parts]) for name in ("R", "T", "focal", "principal"))
        )

    def centers(self) -> Tensor:
        """Camera centres in world coordinates, (B,3)."""
        return -(self.R @ self.T[:, :, None])[:, :, 0]

    def rays(self, size: int, pixels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rays through pixel centres of a size x size image.

        pixels: long (n,) or (B,n), flat row-major indices `v * size + u`; None means all size*size.
        Returns origins (B,n,3) and unit directions (B,n,3) in world coordinates.
        """
        if pixels is None:
            pixels = torch.arange(size * size, device=self.R.device)
        rows = torch.div(pixels, size, rounding_mode="floor")
        ndc = 1 - 2 * (torch.stack([pixels - rows * size, rows], dim=-1).to(self.R.dtype) + 0.5) / size
        plane = (ndc - self.principal[:, None]) / self.focal[:, None]
        directions = torch.cat([plane, torch.ones_like(plane[..., :1])], dim=-1) @ self.R.transpose(1, 2)
        directions = torch.nn.functional.normalize(directions, dim=-1)
        return self.centers()[:, None].expand_as(directions), directions

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project world points (P,3) or (B,P,3) to NDC (B,P,2) and z-depth (B,P), which is <= 0 behind the camera."""
        local = points @ self.R + self.T[:, None]
        depth = local[..., 2]
        divisor = torch.where(depth.abs() < 1e-8, torch.full_like(depth, 1e-8), depth)
        return self.focal[:, None] * local[..., :2] / divisor[..., None] + self.principal[:, None], depth

    def to_pytorch3d(self, size: int) -> PerspectiveCameras:
        """The same cameras as PyTorch3D's class, for square images of `size` pixels.

        Raises UserError when PyTorch3D does not import, naming the torch release it needs.
        """
        try:
            with optional():
                from pytorch3d.renderer import PerspectiveCameras
        except (ImportError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"torch {torch.__version__}: PyTorch3D does not import with it ({reason}); "
                "install torch==2.12.0 with easypytorch3d==0.7.9.post1"
            ) from None
        return PerspectiveCameras(
            focal_length=self.focal,
            principal_point=self.principal,
            R=self.R,
            T=self.T,
            in_ndc=True,
            image_size=((size, size),),
            device=self.R.device,
        )


def normalise(cameras: Cameras, center: Tensor | Sequence[float], scale: float) -> Cameras:
    """The same cameras after the world is moved and scaled, `X -> (X - center) / scale`; images do not change.

    center: (3,) world units.  scale: world units, > 0.
    """
    center = torch.as_tensor(center, dtype=cameras.T.dtype, device=cameras.T.device)
    return Cameras(cameras.R, (center @ cameras.R + cameras.T) / scale, cameras.focal, cameras.principal)


def rotate(cameras: Cameras, turn: Tensor) -> Cameras:
    """The same cameras after the world is turned, `X -> X turn`, with a rotation (3,3); images do not change."""
    return Cameras(turn.T @ cameras.R, cameras.T, cameras.focal, cameras.principal)


@dataclass(frozen=True)
class WorldFrame:
    """A world near the origin in place of one too far away, too large or too small for float32: `X = origin + unit X'`.

    origin: (3,) world units.  unit: world units per unit of the new world, a power of two.
    """

    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    unit: float = 1.0

    def outer(self, center: Sequence[float], scale: float) -> tuple[list[float], float]:
        """A point (3,) and a length of the new world in the old one."""
        return [o + self.unit * c for o, c in zip(self.origin, center, strict=True)], self.unit * scale


def near_origin(cameras: Cameras) -> tuple[Cameras, WorldFrame]:
    """The same cameras in float32, in a world that float32 can hold, and what was done to it; images do not change.

    cameras: float64. Worlds of ordinary place and size are left as they are. Raises UserError for worlds so far away that
    double precision does not tell the cameras apart.
    """
    # not by `centers()`: where a rotation is rounded, its transpose is not its inverse, and far away that is metres
    centers = -torch.linalg.solve(cameras.R.double().transpose(1, 2), cameras.T.double())
    middle = centers.mean(0)
    radius = float((centers - middle).norm(dim=1).max())
    distance = float(middle.norm())
    if not math.isfinite(radius + distance):
        raise UserError("its world is larger than numbers of double precision can hold")
    if radius < COINCIDENT * distance:
        radius = 0.0  # all cameras in one place: no matter of numbers
    if distance > FARTHEST * radius > 0:
        raise UserError(
            f"its cameras lie {distance:.3g} units from the origin but within {radius:.3g} of each other: "
            "double precision does not tell them apart; move the world nearer to the origin"
        )
    frame = WorldFrame()
    if radius > 0 and distance > NEAR * radius:
        frame = WorldFrame(tuple(middle.tolist()))
    if radius > 0 and not SMALLEST <= radius <= LARGEST:
        frame = WorldFrame(frame.origin, 2.0 ** round(math.log2(radius / 4)))
    if frame != WorldFrame():
        cameras = normalise(cameras, frame.origin, frame.unit)
    return Cameras(cameras.R.float(), cameras.T.float(), cameras.focal.float(), cameras.principal.float()), frame


def from_opengl(poses: Tensor, pixels: Tensor) -> Cameras:
    """Cameras from OpenGL's convention, as in NeRF's files: +x right, +y up, looking along -z; column vectors.

    poses: camera-to-world matrices (B,4,4) or (B,3,4).  pixels: see `_ndc_intrinsics`.
    """
    R = poses[:, :3, :3] * poses.new_tensor([-1.0, 1.0, -1.0])
    T = -(poses[:, None, :3, 3] @ R)[:, 0]
    return Cameras(R, T, *_ndc_intrinsics(pixels))


def from_opencv(rotations: Tensor, translations: Tensor, pixels: Tensor) -> Cameras:
    """Cameras from OpenCV's convention, as in COLMAP: +x right, +y down, +z into the scene; `x_cam = R x + t`.

    rotations (B,3,3), translations (B,3): world to camera.  pixels: see `_ndc_intrinsics`.
    """
    flip = rotations.new_tensor([-1.0, -1.0, 1.0])
    return Cameras(rotations.transpose(1, 2) * flip, translations * flip, *_ndc_intrinsics(pixels))


def _ndc_intrinsics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Focal length and principal point (B,2) in isotropic NDC, where +-1 is half the shorter side.

    pixels (B,6): focal lengths x, y, principal point x, y from the upper left corner, width, height of the image.
    """
    focal, point, sides = pixels[:, :2], pixels[:, 2:4], pixels[:, 4:]
    half = sides.amin(1, keepdim=True) / 2
    return focal / half, (sides / 2 - point) / half


def turntable(
    count: int, elevation_deg: float, distance: float, focal: float, up: Sequence[float] = (0.0, 1.0, 0.0)
) -> Cameras:
    """`count` cameras on a circle around the origin, all looking at it, in equal steps of azimuth.

    elevation_deg: degrees above the plane orthogonal to `up`.  distance: world units.  focal: NDC.
    With `up` = +y the first camera is above +z and the circle goes on towards +x, as in PyTorch3D.
    """
    axis = torch.nn.functional.normalize(torch.tensor(up, dtype=torch.float64), dim=0)
    reference = torch.eye(3, dtype=torch.float64)[2 if axis[2].abs() < 0.9 else 0]
    front = torch.nn.functional.normalize(reference - (reference @ axis) * axis, dim=0)
    side = torch.linalg.cross(axis, front)
    angle = torch.arange(count, dtype=torch.float64)[:, None] * (2 * math.pi / count)
    level = torch.cos(angle) * front + torch.sin(angle) * side
    elevation = math.radians(elevation_deg)
    forward = -(math.cos(elevation) * level + math.sin(elevation) * axis)
    upward = math.cos(elevation) * axis - math.sin(elevation) * level
    R = torch.stack([torch.linalg.cross(upward, forward), upward, forward], dim=2).float()
    T = torch.tensor([0.0, 0.0, distance]).expand(count, 3).clone()
    return Cameras(R, T, torch.full((count, 2), float(focal)), torch.zeros(count, 2))


@dataclass(frozen=True)
class Orbit:
    """A level circle around the origin's +y axis, all cameras on it looking at the origin.

    distance: world units.  elevation_deg: degrees above the plane y = 0.  focal: NDC.
    """

    distance: float
    elevation_deg: float
    focal: float

    def cameras(self, count: int) -> Cameras:
        """`count` cameras in equal steps of azimuth, see `turntable`."""
        return turntable(count, self.elevation_deg, self.distance, self.focal)


def cameras_to_json(cameras: Cameras) -> list[dict[str, Any]]:
    """One dict per camera with CO3D's keys: R 3x3, T, focal_length, principal_point."""
    columns = (cameras.R, cameras.T, cameras.focal, cameras.principal)
    return [
        dict(zip(CAMERA_KEYS, row, strict=True)) for row in zip(*(column.tolist() for column in columns), strict=True)
    ]


def cameras_from_json(entries: Sequence[dict[str, Any]]) -> Cameras:
    """The inverse of `cameras_to_json`; further keys are ignored. Raises UserError when a key or number is missing."""
    columns = []
    for key, shape in (("R", (3, 3)), ("T", (3,)), ("focal_length", (2,)), ("principal_point", (2,))):
        try:
            columns.append(
                torch.tensor([entry[key] for entry in entries], dtype=torch.float32).reshape(len(entries), *shape)
            )
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise UserError(f"camera list: every entry needs {key} as numbers of shape {shape}") from None
    return Cameras(*columns)
