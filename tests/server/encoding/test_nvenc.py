"""NVENC where there is one; what can be told without it is told everywhere."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from server.encoding.h264 import H264Encoder, open_x264
from server.encoding.nvenc import choose_h264, nvenc_options, open_nvenc


def test_without_a_gpu_x264_encodes_and_one_line_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    choose_h264.cache_clear()
    with caplog.at_level(logging.INFO, "server.encoding.nvenc"):
        assert choose_h264() is open_x264
        assert choose_h264() is open_x264
    assert len(caplog.records) == 1
    assert "no NVENC here" in caplog.text


def test_a_frame_waits_for_no_other_and_the_rate_is_kept() -> None:
    options = nvenc_options(1_000_000)
    assert (options["delay"], options["zerolatency"], options["forced-idr"]) == ("0", "1", "1")
    assert (options["rc"], options["maxrate"], options["bufsize"]) == ("cbr", "1000000", "150000")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs NVENC")
def test_a_gpu_encodes_one_packet_per_frame_and_key_frames_on_request() -> None:
    encoder = H264Encoder(
        256, 256, fps=60, bitrate=2_000_000, highest_bitrate=4_000_000, open_codec=open_nvenc
    )
    image = np.random.default_rng(1).integers(0, 255, (256, 256, 3), np.uint8)
    packets = [encoder.encode(image, 1500 * i, key_frame=i in (0, 5)) for i in range(8)]
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [0, 5]
