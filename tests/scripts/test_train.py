"""What `scripts/train.py` asks for."""

from pathlib import Path

import pytest

from scripts.train import Arguments, main


def test_the_warp_alone_needs_an_avatar_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--stage warp needs --init"):
        main(Arguments(data=tmp_path, run=tmp_path / "run", stage="warp"))
    assert not (tmp_path / "run").exists()
