"""The transfer curve of sRGB."""

from __future__ import annotations

import numpy as np
import pytest

from models.studio.srgb import decode_array, encode, encode_array


@pytest.mark.parametrize(
    ("linear", "stored"), [(0.0, 0.0), (0.002, 0.02584), (0.2140411, 0.5), (1.0, 1.0)]
)
def test_known_values(linear: float, stored: float) -> None:
    assert encode(linear) == pytest.approx(stored, abs=1e-6)
    assert encode_array(np.array([linear], np.float32))[0] == pytest.approx(stored, abs=1e-6)
    assert decode_array(np.array([stored], np.float32))[0] == pytest.approx(linear, abs=1e-6)


def test_all_stored_levels_survive_decoding_and_encoding() -> None:
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    back = encode_array(decode_array(levels))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, levels, atol=1e-6)
    single = [encode(float(linear)) for linear in decode_array(levels)]
    np.testing.assert_allclose(single, levels, atol=1e-6)
