"""The conversion to NV12 against exact arithmetic and libswscale."""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from PIL import Image

from models.avatar.folder import SHIPPED
from models.contract.images import RgbImage
from models.kernels.nv12 import rgb_to_nv12
from models.kernels.nv12_numba import convert_to_nv12

BT601 = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]])


def test_nv12_is_bt601_with_limited_range() -> None:
    rgb = torch.randint(0, 256, (32, 48, 3), dtype=torch.uint8)
    converted = rgb_to_nv12(rgb).numpy().astype(float)
    values = rgb.numpy().astype(float) / 255
    np.testing.assert_allclose(converted[:32], values @ BT601[0] + 16, atol=0.52)
    mean = values.reshape(16, 2, 24, 2, 3).mean(axis=(1, 3))
    chroma = converted[32:].reshape(16, 24, 2)
    np.testing.assert_allclose(chroma[..., 0], mean @ BT601[1] + 128, atol=0.52)
    np.testing.assert_allclose(chroma[..., 1], mean @ BT601[2] + 128, atol=0.52)


def test_greys_have_neutral_chroma_and_black_and_white_have_the_limits_of_luma() -> None:
    for grey, luma in ((0, 16), (128, 126), (255, 235)):
        converted = rgb_to_nv12(torch.full((2, 2, 3), grey, dtype=torch.uint8))
        assert converted.tolist() == [[luma, luma], [luma, luma], [128, 128]]


def ramps() -> RgbImage:
    ramp = np.arange(64, dtype=np.uint8)
    red, green = np.tile(ramp * 4, (64, 1)), np.tile(ramp[:, None] * 3, (1, 64))
    return np.stack([red, green, 255 - red], axis=-1)


def background() -> RgbImage:
    with Image.open(SHIPPED / "default/background.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("build", [ramps, background])
def test_nv12_is_within_one_level_of_libswscale(build: Callable[[], RgbImage]) -> None:
    rgb = build()
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(rgb, format="rgb24"), format="nv12",
        dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.AREA,  # the mean of four pixels; other methods include more
    )  # fmt: skip
    assert frame is not None
    difference = convert_to_nv12(rgb).astype(int) - frame.to_ndarray().astype(int)
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.1


def test_the_kernel_on_a_cpu_equals_plain_torch_to_the_bit() -> None:
    rgb = torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8)
    rgb[:16], rgb[16:32] = 0, 255
    np.testing.assert_array_equal(convert_to_nv12(rgb.numpy()), rgb_to_nv12(rgb))
