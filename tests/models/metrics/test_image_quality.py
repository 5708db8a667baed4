import numpy as np
import pytest
import torch

from models.metrics.image_quality import psnr, ssim


def test_psnr_of_a_known_error() -> None:
    truth = torch.full((2, 3, 8, 8), 0.5)
    image = truth + torch.tensor([0.1, 0.01])[:, None, None, None]
    torch.testing.assert_close(psnr(image, truth), torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)


def test_equal_images_have_an_ssim_of_one() -> None:
    image = torch.rand(1, 3, 32, 32)
    assert ssim(image, image).item() == pytest.approx(1, abs=1e-5)


def test_ssim_equals_the_formula_evaluated_per_window() -> None:
    """Against a direct evaluation of Wang et al. 2004 with numpy."""
    random = np.random.default_rng(0)
    one, other = random.random((20, 24)), random.random((20, 24))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for y in range(10):
        for x in range(14):
            a, b = one[y : y + 11, x : x + 11], other[y : y + 11, x : x + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * a * a).sum() - mean_a**2, (window * b * b).sum() - mean_b**2
            covariance = (window * a * b).sum() - mean_a * mean_b
            values.append(
                (2 * mean_a * mean_b + 1e-4)
                * (2 * covariance + 9e-4)
                / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
            )
    tensors = (torch.from_numpy(p)[None, None] for p in (one, other))
    assert ssim(*tensors).item() == pytest.approx(np.mean(values), abs=1e-9)
