"""The choice of a codec for a viewer."""

from __future__ import annotations

import pytest

from server.encoding.codecs import Codec, choose_codec, parse_codecs

BOTH = ("video/VP8", "video/H264")


def test_the_first_codec_of_the_server_that_the_viewer_supports_is_chosen() -> None:
    assert choose_codec((Codec.H264, Codec.VP8), BOTH) is Codec.H264
    assert choose_codec((Codec.VP8, Codec.H264), BOTH) is Codec.VP8
    assert choose_codec((Codec.H264, Codec.VP8), ["video/VP8", "video/AV1"]) is Codec.VP8
    assert choose_codec((Codec.H264,), ["video/VP8"]) is None


def test_codec_names_keep_their_order() -> None:
    assert parse_codecs("vp8, H264") == (Codec.VP8, Codec.H264)
    assert parse_codecs("h264") == (Codec.H264,)


@pytest.mark.parametrize("text", ["", "h265", "h264,", "vp8,vp8"])
def test_an_invalid_list_of_codecs_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_codecs(text)
