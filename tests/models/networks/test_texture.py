import pytest
import torch

from models.geometry.spherical_harmonics import spherical_harmonics
from models.kernels.texture_lookup import look_up
from models.networks.texture import NeuralTexture, harmonic_scale, sample_texels


def test_texture_levels_are_added() -> None:
    texture = NeuralTexture(16, 32, levels=3)
    with torch.no_grad():
        for index, level in enumerate(texture.levels):
            level.fill_(10.0**index)
    uv = torch.rand(2, 4, 5, 2) * 2 - 1
    torch.testing.assert_close(texture(uv), torch.full((2, 16, 4, 5), 111.0))
    torch.testing.assert_close(texture.texels(), torch.full((1, 16, 32, 32), 111.0))


def test_a_lookup_at_the_centre_of_a_texel_returns_it() -> None:
    texels = torch.arange(16.0).reshape(1, 1, 4, 4)
    uv = torch.tensor([[[[-0.25, 0.75]]]])  # column 1, row 3
    assert sample_texels(texels, uv).item() == 13


def test_frames_of_a_batch_are_independent() -> None:
    texels = torch.rand(1, 16, 8, 8)
    uv = torch.rand(3, 4, 5, 2) * 2 - 1
    each = torch.cat([sample_texels(texels, one[None]) for one in uv])
    torch.testing.assert_close(sample_texels(texels, uv), each)


def test_values_and_gradients_of_the_numba_lookup_equal_the_plain_ones() -> None:
    torch.manual_seed(0)
    texels = torch.randn(1, 16, 32, 32).contiguous(memory_format=torch.channels_last)
    uv = torch.rand(2, 24, 20, 2) * 2.2 - 1.1  # some outside the texture
    scale, coverage = torch.randn(2, 16), (torch.rand(2, 24, 20) > 0.4).float()
    upstream = torch.randn(2, 16, 24, 20)

    texels.requires_grad_()
    plain = sample_texels(texels, uv) * scale[..., None, None] * coverage[:, None]
    (plain_gradient,) = torch.autograd.grad(plain, texels, upstream)
    fast = look_up(texels, uv, scale, coverage)
    (fast_gradient,) = torch.autograd.grad(fast, texels, upstream)

    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast_gradient, plain_gradient, atol=1e-4, rtol=1e-4)


def test_only_nine_channels_depend_on_the_view() -> None:
    scale = harmonic_scale(torch.tensor([[0.3, -0.5, 0.8]]), 16)
    assert scale.shape == (1, 16)
    assert (scale[:, :3] == 1).all()
    assert (scale[:, 12:] == 1).all()
    torch.testing.assert_close(
        scale[:, 3:12], spherical_harmonics(torch.tensor([[0.3, -0.5, 0.8]]))
    )


def test_harmonics_have_the_published_values() -> None:
    values = spherical_harmonics(torch.tensor([0.0377, -0.0396, 1.0]))
    expected = [0.2821, -0.0194, 0.4886, 0.0184, -0.0016, -0.0433, 0.6308, 0.0412, -1.0910]
    torch.testing.assert_close(values, torch.tensor(expected), atol=2e-4, rtol=0)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="halved"):
        NeuralTexture(16, 100, 4)
    with pytest.raises(ValueError, match="at least 12"):
        harmonic_scale(torch.zeros(1, 3), 8)
