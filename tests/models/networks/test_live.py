import torch

from models.avatar import Avatar
from models.networks.networks import FrameBatch, LiveNetworks
from models.runtime.base import Stage
from models.state import FrameState


def frames(avatar: Avatar, *states: FrameState) -> list[FrameBatch]:
    stage = Stage(avatar, torch.device("cpu"))
    return [stage.frame(state) for state in states]


@torch.inference_mode()
def test_the_split_form_equals_the_plain_form(build_avatar, front, turned) -> None:  # type: ignore[no-untyped-def]
    avatar = build_avatar("live")
    networks = avatar.networks
    assert isinstance(networks, LiveNetworks)
    cached, now = frames(avatar, front, turned)
    cache = networks.full(cached).cache
    plain = networks.warp(cache, cached, now)
    prepared, inputs = networks.warper.prepare(cache), networks.inputs(now)
    split = networks.warper.warp(prepared, cache, inputs, now.conditioning, cached.conditioning)
    assert plain.rgb.std() > 0.05
    torch.testing.assert_close(split.rgb, plain.rgb, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(split.mask_logit, plain.mask_logit, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_warp_depends_on_cache_pose_and_live_inputs(build_avatar, front, turned) -> None:  # type: ignore[no-untyped-def]
    avatar = build_avatar("live")
    networks = avatar.networks
    old, new = frames(avatar, front, turned)
    cache_old, cache_new = networks.full(old).cache, networks.full(new).cache
    reference = networks.warp(cache_old, old, new).rgb
    for other in (
        networks.warp(cache_new, old, new),
        networks.warp(cache_old, new, new),
        networks.warp(cache_old, old, old),
    ):
        assert (other.rgb - reference).abs().max() > 1e-3


@torch.inference_mode()
def test_far_from_its_border_a_crop_is_rendered_as_in_the_whole_picture(
    build_avatar, turned
) -> None:  # type: ignore[no-untyped-def]
    """What allows training on crops: nothing in the warp looks at the whole picture."""
    avatar = build_avatar("live")
    networks = avatar.networks
    (whole,) = frames(avatar, turned)
    crop = FrameBatch(whole.uv[:, 16:48, 16:48], whole.surface[:, :, 16:48, 16:48], whole.numbers)
    cache = networks.full(whole).cache
    part = type(cache)(*(x[:, :, 8:24, 8:24] for x in cache))
    expected = networks.warp(cache, whole, whole).rgb[:, :, 16:48, 16:48]
    got = networks.warp(part, crop, crop).rgb
    inner = slice(6, -6)
    torch.testing.assert_close(got[:, :, inner, inner], expected[:, :, inner, inner])
