"""Required arguments of `scripts/train.py`."""

from pathlib import Path

import pytest

from scripts.train import Arguments, main


def test_training_only_the_warp_requires_an_initial_avatar(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--stage warp needs --init"):
        main(Arguments(data=tmp_path, run=tmp_path / "run", stage="warp"))
    assert not (tmp_path / "run").exists()
