"""The size of frames for a display."""

import pytest

from models.contract.rendition import FRAME_SIZES, sizes_up_to
from server.sessions.frame_size import choose_size


@pytest.mark.parametrize(
    ("resolution", "largest", "expected"),
    [
        (320, None, (256, 320)),
        (192, None, (192,)),
        (416, None, (256, 320, 384, 416)),
        (320, 256, (256,)),
        (192, 256, (192, 256)),
        (320, 768, FRAME_SIZES),
        (1024, None, (*FRAME_SIZES, 1024)),
    ],
)
def test_sizes_go_up_to_the_avatars_own_or_the_limit(
    resolution: int, largest: int | None, expected: tuple[int, ...]
) -> None:
    assert sizes_up_to(resolution, largest) == expected


@pytest.mark.parametrize(
    ("display_px", "largest", "expected"),
    [
        (0, None, 320),
        (0, 768, 320),
        (0, 256, 256),
        (96, None, 256),
        (281, None, 256),
        (282, None, 320),
        (1170, None, 320),
        (400, 768, 384),
        (800, 768, 768),
        (1170, 768, 768),
    ],
)
def test_a_display_gets_the_smallest_size_that_is_not_enlarged_visibly(
    display_px: int, largest: int | None, expected: int
) -> None:
    assert choose_size(sizes_up_to(320, largest), 320, display_px) == expected
