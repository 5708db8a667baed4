"""The conversion to NV12 against exact arithmetic and libswscale's."""

from __future__ import annotations

import av
import numpy as np
import torch
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from models.kernels.nv12 import rgb_to_nv12
from models.kernels.nv12_numba import convert_to_nv12

BT601 = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]])


def test_nv12_is_bt601_with_limited_range() -> None:
    rgb = torch.randint(0, 256, (32, 48, 3), dtype=torch.uint8)
    made = rgb_to_nv12(rgb).numpy().astype(float)
    values = rgb.numpy().astype(float) / 255
    np.testing.assert_allclose(made[:32], values @ BT601[0] + 16, atol=0.52)
    mean = values.reshape(16, 2, 24, 2, 3).mean(axis=(1, 3))
    chroma = made[32:].reshape(16, 24, 2)
    np.testing.assert_allclose(chroma[..., 0], mean @ BT601[1] + 128, atol=0.52)
    np.testing.assert_allclose(chroma[..., 1], mean @ BT601[2] + 128, atol=0.52)


def test_greys_have_no_colour_and_black_and_white_are_the_ends_of_the_range() -> None:
    for grey, luma in ((0, 16), (128, 126), (255, 235)):
        made = rgb_to_nv12(torch.full((2, 2, 3), grey, dtype=torch.uint8))
        assert made.tolist() == [[luma, luma], [luma, luma], [128, 128]]


def test_nv12_equals_what_the_encoder_is_given_today() -> None:
    """Within two levels: libswscale rounds its intermediate values."""
    ramp = torch.arange(64, dtype=torch.uint8)
    rgb = torch.stack([ramp.expand(64, 64) * 4, ramp[:, None].expand(64, 64) * 3], dim=-1)
    rgb = torch.cat([rgb, 255 - rgb[..., :1]], dim=-1)
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(rgb.numpy(), format="rgb24"), format="nv12",
        dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG,
    )  # fmt: skip
    assert frame is not None
    apart = rgb_to_nv12(rgb).numpy().astype(int) - frame.to_ndarray().astype(int)
    assert np.abs(apart).max() <= 2
    assert abs(apart.mean()) < 0.6


def test_the_kernel_on_a_cpu_equals_plain_torch_to_the_bit() -> None:
    rgb = torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8)
    rgb[:16], rgb[16:32] = 0, 255
    np.testing.assert_array_equal(convert_to_nv12(rgb.numpy()), rgb_to_nv12(rgb))
