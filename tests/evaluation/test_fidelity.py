"""Distances in feature space: known values, and how they grow with damage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from holofusion.evaluation import features
from holofusion.evaluation.fidelity import frechet_distance, kernel_distance


def blurred(image: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def noisy(image: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(int(image.sum())).normal(0, strength, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def feature() -> Callable[[Any], torch.Tensor]:
    network = features.load_network("efficientnet_lite0", None, torch.device("cpu"))
    return lambda images: features.extract(network, iter(images), len(images), "test").double()


def test_frechet_distance_equals_its_other_form() -> None:
    # tr sqrt(S1 S2) is the sum of the singular values of A B^T, where S1 = A^T A and S2 = B^T B.
    random = np.random.default_rng(0)
    sets = [random.normal(shift, 1 + shift, (count, 24)) for shift, count in ((0, 60), (0.5, 80))]
    centred = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in sets]
    expected = ((sets[0].mean(0) - sets[1].mean(0)) ** 2).sum() + sum((x**2).sum() for x in centred)
    expected -= 2 * np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    assert frechet_distance(*(torch.from_numpy(x) for x in sets)) == pytest.approx(expected, rel=1e-6)


def test_distances_are_zero_to_itself_and_grow_with_blur_and_noise(feature: Callable, pictures: np.ndarray) -> None:
    clean = feature(pictures)
    size = len(pictures)
    assert abs(frechet_distance(clean, clean)) < 1e-3
    # The unbiased estimate leaves out each image's pair with itself, so a set against itself falls just below zero.
    itself = kernel_distance(clean, clean, size, 1)
    halves = kernel_distance(clean[::2], clean[1::2], size // 2, 1)
    for damage, strengths in ((blurred, (1.0, 4.0)), (noisy, (12, 60))):
        damaged = [feature([damage(image, strength) for image in pictures]) for strength in strengths]
        kernel = [kernel_distance(clean, other, size, 1) for other in damaged]
        frechet = [frechet_distance(clean, other) for other in damaged]
        assert itself < kernel[0] < kernel[1]
        assert 1e-3 < frechet[0] < frechet[1]
        assert abs(itself) < 0.1 * kernel[1] and abs(halves) < 0.1 * kernel[1]
