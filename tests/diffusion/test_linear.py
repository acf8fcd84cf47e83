"""The linear denoiser against the posterior mean of a Gaussian, computed with the whole covariance matrix."""

import numpy as np
import torch

from holofusion.diffusion.linear import LinearDenoiser


def signals(count: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Zero-mean signals with two strong directions and weak noise everywhere."""
    generator = torch.Generator().manual_seed(0)
    strong = torch.randn(count, 2, generator=generator) @ (3 * torch.randn(2, int(np.prod(shape)), generator=generator))
    drawn = strong + 0.3 * torch.randn(strong.shape, generator=generator)
    return (drawn - drawn.mean(0)).reshape(count, *shape)


def test_estimate_is_the_posterior_mean_of_the_fitted_gaussian():
    clean = signals(50, (2, 3))
    denoiser = LinearDenoiser((2, 3), 2)
    denoiser.fit(clean)
    flat = clean.flatten(1).double().numpy()
    values, vectors = np.linalg.eigh(flat.T @ flat / 50)
    values[:4] = values[:4].mean()  # all but the two strongest share their variance
    covariance = vectors @ np.diag(values) @ vectors.T
    noisy = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))
    for alpha, sigma in ((0.1, 0.995), (0.8, 0.6), (0.999, 0.05)):
        gain = alpha * covariance @ np.linalg.inv(alpha**2 * covariance + sigma**2 * np.eye(6))
        expected = noisy.flatten(1).double().numpy() @ gain.T
        found = denoiser(noisy, torch.full((4, 1, 1), alpha), torch.full((4, 1, 1), sigma)).flatten(1)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_fewer_signals_than_directions():
    """Three zero-mean signals span two directions: those are kept whole, and nothing is known outside them."""
    clean = signals(3, (4, 4))
    denoiser = LinearDenoiser((4, 4), 8)
    denoiser.fit(clean)
    one, little = torch.ones(3, 1, 1), torch.full((3, 1, 1), 1e-3)
    torch.testing.assert_close(denoiser(clean, one, little), clean, rtol=1e-3, atol=1e-3)
    outside = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(2))
    basis = torch.linalg.qr(clean.flatten(1)[:2].T).Q
    outside = outside - (outside.flatten(1) @ basis @ basis.T).reshape(outside.shape)
    assert denoiser(outside, one, little).abs().max() < 1e-3
