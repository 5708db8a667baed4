"""A recording rendered to a video with the shipped avatar, and published to a running server."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import av
import numpy as np
import pytest

from tests.scripts.conftest import Run
from tests.warm_python import WarmPython, pipe


@pytest.mark.slow
def test_a_recording_is_rendered_with_full_render_and_warp_side_by_side(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    rendered = run("render_video.py", recording, "out.mp4", "--side-by-side", "--seconds", 0.4)
    assert rendered.returncode == 0, rendered.stderr
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = [f.to_ndarray(format="rgb24").astype(int) for f in container.decode(video=0)]
    assert len(frames) == 12
    height, width, _ = frames[0].shape
    assert width == 2 * height
    full, warp = frames[-1][:, :height], frames[-1][:, height:]
    assert full.std() > 30
    assert np.abs(full - warp).mean() < 6
    mouth = np.s_[height // 2 : height * 3 // 4, height // 3 : height * 2 // 3]
    assert np.abs(frames[0][mouth] - frames[7][mouth]).mean() > 2  # the mouth moves


@pytest.fixture
def address(warm_python: WarmPython) -> Iterator[str]:
    """The address of a running server, whose renderer is a fake."""
    with pipe() as (output, writer):
        process = warm_python.start(
            "-m", "tests.server.network.fake_server", "--port", "0", stdout=writer
        )
        yield output.readline().split()[-1]
        process.terminate()
        process.wait(20)


@pytest.mark.slow
def test_a_recording_is_published_to_a_stream_twice(
    run: Run, recording: Path, address: str
) -> None:
    for run_number in (1, 2):
        published = run("publish.py", recording, "--stream", "rom", "--url", address, "--fps", 60)
        assert published.returncode == 0, published.stderr
        assert "accepted 120 frames, dropped 0" in published.stdout
        with urlopen(f"{address}/v1/streams/rom") as answer:
            stream = json.load(answer)
        assert stream["accepted"] == 120 * run_number
