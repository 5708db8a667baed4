"""NVENC on GPUs that have it; the choice of the encoder on every machine."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest
import torch

from server.encoding import h264
from server.encoding.h264 import H264Encoder, open_x264
from server.encoding.nvenc import choose_h264, nvenc_options, open_nvenc, open_or_x264


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
    assert "no NVENC for cpu" in caplog.text


def test_a_session_that_nvenc_refuses_uses_x264(
    caplog: pytest.LogCaptureFixture,
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here, whose encoder may take the session")
    encoder = H264Encoder(
        128,
        128,
        fps=60,
        bitrate=1_000_000,
        highest_bitrate=2_000_000,
        open_codec=partial(open_or_x264, open_nvenc),
    )
    image = np.full((192, 128), 90, np.uint8)
    assert encoder.encode(image, 0, key_frame=True).is_keyframe
    assert "NVENC takes no more sessions" in caplog.text


def test_each_gpu_encodes_its_own_frames_with_the_negotiated_profile() -> None:
    assert nvenc_options(1_000_000, gpu=3)["gpu"] == "3"
    assert nvenc_options(1_000_000)["gpu"] == "any"
    assert nvenc_options(1_000_000)["profile"] == "baseline"


@pytest.fixture
def stepping_encoder(monkeypatch: pytest.MonkeyPatch) -> H264Encoder:
    """x264 that changes its bitrate in NVENC's steps."""
    monkeypatch.setitem(h264._RATE_STEPS, "libx264", h264._RATE_STEPS["h264_nvenc"])
    return H264Encoder(
        128, 128, fps=60, bitrate=1_000_000, highest_bitrate=4_000_000, open_codec=open_x264
    )


def test_an_encoder_that_restarts_to_change_the_bitrate_follows_in_steps(
    stepping_encoder: H264Encoder,
) -> None:
    followed = []
    for target in (1_150_000, 1_320_000, 1_520_000, 1_750_000, 1_700_000, 1_100_000, 9_000_000):
        stepping_encoder.bitrate = target
        followed.append(stepping_encoder.bitrate)
    assert followed == [
        *(1_000_000, 1_320_000, 1_320_000, 1_750_000, 1_750_000, 1_100_000),
        4_000_000,
    ]


def test_frames_of_another_size_begin_at_a_target_that_was_no_step(
    stepping_encoder: H264Encoder,
) -> None:
    stepping_encoder.bitrate = 1_250_000
    stepping_encoder.encode(np.full((240, 160), 90, np.uint8), 0, key_frame=False)
    assert stepping_encoder.bitrate == 1_250_000


def test_frames_are_encoded_without_delay_and_the_bitrate_is_kept() -> None:
    options = nvenc_options(1_000_000)
    assert (options["delay"], options["zerolatency"], options["forced-idr"]) == ("0", "1", "1")
    assert (options["rc"], options["maxrate"], options["bufsize"]) == ("cbr", "1000000", "150000")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs NVENC")
def test_a_gpu_encodes_one_packet_per_frame_and_key_frames_on_request() -> None:
    encoder = H264Encoder(
        256, 256, fps=60, bitrate=2_000_000, highest_bitrate=4_000_000, open_codec=open_nvenc
    )
    image = np.random.default_rng(1).integers(16, 236, (384, 256), np.uint8)
    packets = [encoder.encode(image, 1500 * i, key_frame=i in (0, 5)) for i in range(8)]
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [0, 5]
