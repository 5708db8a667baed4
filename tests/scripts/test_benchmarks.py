"""Benchmarks print one line of JSON last; the load benchmark finds the limiting resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.avatar.folder import SHIPPED, load_avatar
from models.avatar.manifest import load_manifest
from scripts.benchmarking.avatars import front, resized
from scripts.benchmarking.devices import _efficiency
from scripts.benchmarking.edges import edge_kinds
from scripts.benchmarking.handover import Handover, handover
from scripts.benchmarking.load import Load, LoadStep, holds, limit, step_counts
from scripts.benchmarking.sizes import Sizes, sizes
from scripts.benchmarking.voice import _summary
from tests.scripts.conftest import Run

IDLE = {
    "server": 0.2, "workers": 0.2, "clients": 0.1,
    "event_loop": 0.1, "warp_thread": 0.1, "encoder": 0.05,
}  # fmt: skip


def load_step(fps: float = 30, p95_ms: float = 20, **busy: float) -> LoadStep:
    stages_ms = {"queue": p95_ms / 2, "warp": 8.0}
    return LoadStep(
        viewers=1,
        fps=fps,
        slowest_fps=fps,
        latency_ms={"p50": 10, "p95": p95_ms},
        cache_age_ms={"p50": 50, "p95": 100},
        refreshes_per_s=8,
        server_ms_per_frame=5,
        stages_ms=stages_ms,
        busy=IDLE | busy,
    )


def last_line(output: str) -> dict[str, Any]:
    result = json.loads(output.splitlines()[-1])
    assert isinstance(result, dict)
    return result


def test_the_models_benchmark_compares_speed_and_images(run: Run) -> None:
    done = run("benchmark.py", "models", "--rounds", "1", "--width", "0.25", "--size", "64")
    assert done.returncode == 0, done.stderr
    result = last_line(done.stdout)
    assert result["resolution"] == load_manifest(SHIPPED / "default").resolution
    assert [row["networks"] for row in result["rows"]] == ["live", "live", "paper"]
    for row in (result, *result["rows"]):
        assert row["warp_ms"] > 0
        assert row["warp_ratio"] == pytest.approx(row["warp_plain_ms"] / row["warp_ms"], rel=0.01)
        assert row["full_ratio"] == pytest.approx(row["full_plain_ms"] / row["full_ms"], rel=0.01)
        assert row["warp_difference"]["largest"] <= 6
        assert row["full_difference"]["largest"] <= 6


def test_outlines_and_inner_edges_do_not_overlap() -> None:
    avatar = load_avatar(SHIPPED / "default")
    outlines, inner = edge_kinds(avatar.head, front(avatar.manifest), 96)
    assert (outlines * inner).sum() == 0
    # The head is half as wide as the image, with two outlines of five pixels in every row.
    assert 96 * 5 < outlines.sum() < 96 * 25
    assert 50 < inner.sum() < 96 * 20


def test_codecs_are_compared_with_x264_at_its_own_bitrates(run: Run) -> None:
    done = run(
        *("benchmark.py", "codecs", "--sizes", "64", "--kbps", "60", "200", "--frames", "8"),
        *("--repetitions", "2", "--encoders", "x264_face_4", "vp9_8", "av1_12"),
    )
    assert done.returncode == 0, done.stderr
    rows = last_line(done.stdout)["rows"]
    assert [(row["encoder"], row["kbps"]) for row in rows] == [
        (name, kbps) for kbps in (60, 200) for name in ("x264", "x264_face_4", "vp9_8", "av1_12")
    ]
    for row in rows:
        assert not row["delayed"], row
        assert row["face_ssim_db"] > 5, row
        assert row["image_psnr_db"] > 25, row
        assert 0 < row["cpu_ratio_least"] <= row["cpu_ratio"] <= row["cpu_ratio_most"]
        if row["encoder"] == "x264":
            assert row["face_gain_db"] == 0
            assert row["cpu_ratio"] == 1


def test_an_unavailable_codec_is_reported_as_missing(run: Run) -> None:
    done = run("benchmark.py", "encode", "--sizes", "64", "--frames", "5")
    assert done.returncode == 0, done.stderr
    rows = {row["codec"]: row for row in last_line(done.stdout)["rows"]}
    assert set(rows) == {"x264", "x264_ultrafast", "vp8", "nvenc", "rgb_to_yuv"}
    assert rows.pop("rgb_to_yuv")["cpu_ms"] > 0
    for row in rows.values():
        assert "missing" in row or (row["bytes"] > 0 and row["cpu_ms"] > 0 and row["luma_db"] > 30)


def test_nv12_frames_are_handed_over_in_half_the_bytes_of_rgb() -> None:
    result = handover(Handover(frames=1))
    assert (result["rgb"]["bytes"], result["nv12"]["bytes"]) == (307_200, 153_600)
    for layout in ("rgb", "nv12"):
        row = result[layout]
        assert row["server_ms"] == pytest.approx(row["ring_read_ms"] + row["encode_ms"], abs=0.002)


def test_larger_frames_cost_more() -> None:
    result = sizes(Sizes(sizes=(64, 128), rounds=1))
    small, large = result["rows"]
    assert (small["size"], large["size"]) == (64, 128)
    assert min(small["warp_ms"], large["warp_ms"]) > 0  # most of both poses the mesh
    for what in ("refresh_ms", "caches_mb"):
        assert 0 < small[what] < large[what]


def test_avatars_are_resized_in_a_temporary_folder() -> None:
    with resized(SHIPPED, 96) as avatars:
        manifest = load_manifest(avatars / "default")
        assert manifest.resolution == 96
    assert not avatars.exists()


def test_viewers_are_added_in_growing_steps() -> None:
    assert step_counts(1) == [1]
    assert step_counts(16) == [1, 2, 3, 4, 6, 8, 12, 16]
    assert step_counts(10) == [1, 2, 3, 4, 6, 8, 10]


def test_a_load_is_sustained_at_the_frame_rate_with_at_most_twice_the_latency() -> None:
    command, alone = Load(fps=30), load_step()
    assert holds(load_step(fps=27.1, p95_ms=39), alone, command)
    assert not holds(load_step(fps=26.9), alone, command)
    assert not holds(load_step(p95_ms=41), alone, command)


def test_the_limit_is_a_busy_thread_or_all_cores_or_the_stage_that_grew_most() -> None:
    alone = load_step()
    assert limit(alone, load_step(warp_thread=0.9), 2) == "warp thread"
    assert limit(alone, load_step(event_loop=0.9), 2) == "event loop"
    full = load_step(server=1.2, workers=0.4, clients=0.3, encoder=0.8)
    assert limit(alone, full, 2) == "all 2 cores, most of them by: encoder"
    assert limit(alone, load_step(p95_ms=50), 2) == "latency, of which most grew: queue"


def test_efficiency_is_the_rate_per_device_relative_to_one_device() -> None:
    rows = [{"devices": 1, "frames_per_s": 10.0}, {"devices": 8, "frames_per_s": 72.0}]
    assert _efficiency(rows[:1]) == 1.0
    assert _efficiency(rows) == 0.9


def voice_run(*, with_voice: bool, late_ms: float = 0.0) -> dict[str, Any]:
    """Records of both pages for three beeps: mesh frames are sent after 60 ms, shown after 100."""
    faces = [(1000.0 * beep + at, jaw) for beep in range(3) for at, jaw in ((0, 0.0), (40, 0.7))]
    meshes = [[seq, at, jaw, at + 60] for seq, (at, jaw) in enumerate(faces)]
    opened = [1000.0 * beep + 20 for beep in range(3)]  # between the two frames
    return {
        "with_voice": with_voice,
        "began_ms": 1.0,
        "told": {"offset_ms": {"p50": late_ms, "p95": late_ms}} if with_voice else None,
        "meshes": meshes,
        "shown": [[seq, at + 100] for seq, at, _, _ in meshes],
        "captured": opened,
        "heard": [at + 100 + late_ms for at in opened] if with_voice else [],
    }


def test_the_voice_benchmark_measures_the_delay_of_a_beep_after_the_jaw() -> None:
    runs = [voice_run(with_voice=True, late_ms=30), voice_run(with_voice=False)]
    summary = _summary(runs)
    assert summary["voice_after_lips_ms"] == {"p50": 30.0, "p95_absolute": 30.0, "beeps": 3}
    assert summary["voice_path_ms"] == {"p50": 130.0, "p95": 130.0}
    assert summary["face_path_ms"]["without_voice"] == {"p50": 100.0, "p95": 100.0}
    assert summary["face_path_of_rounds_ms"][0]["until_sent"] == {"p50": 60.0, "p95": 60.0}


def test_the_voice_benchmark_reports_no_values_if_nothing_was_shown_or_played() -> None:
    nothing: dict[str, Any] = {"meshes": [], "shown": [], "captured": [], "heard": []}
    runs = [voice_run(with_voice=on) | nothing for on in (True, False)]
    summary = _summary(runs)
    assert summary["voice_after_lips_ms"] == {"p50": None, "p95_absolute": None, "beeps": 0}
    assert summary["face_path_ms"]["with_voice"] == {"p50": None, "p95": None}
