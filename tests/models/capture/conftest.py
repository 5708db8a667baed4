"""The rendered phone video, and MediaPipe's models, which are installed and not committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.install_tracker import FOLDER, MODEL, MODELS, SEGMENTER, SEGMENTERS, missing
from tests.models.capture.phone_video import PhoneVideo, render_phone_video


@pytest.fixture(scope="session")
def phone_video(tmp_path_factory: pytest.TempPathFactory) -> PhoneVideo:
    """24 frames of the shipped head."""
    return render_phone_video(tmp_path_factory.mktemp("phone"))


@pytest.fixture(scope="session")
def landmarker() -> Path:
    """The file of MediaPipe's face landmarker."""
    if missing(FOLDER, MODELS):
        pytest.skip("needs MediaPipe's model: scripts/install_tracker.py --capture")
    return FOLDER / MODEL


@pytest.fixture(scope="session")
def segmenter() -> Path:
    """The file of MediaPipe's person segmenter."""
    if missing(FOLDER, SEGMENTERS):
        pytest.skip("needs MediaPipe's model: scripts/install_tracker.py --capture")
    return FOLDER / SEGMENTER
