"""The composition in Triton against plain torch."""

from __future__ import annotations

import numpy as np
import torch

from tests.models.kernels.cuda.conftest import Rendered


def test_images_equal_plain_torchs(rendered: Rendered) -> None:
    plain, buffers = rendered.plain, rendered.buffers
    inputs = plain._inputs(plain.stage.frame(rendered.state))
    with torch.inference_mode():
        smooth = buffers.smooth.permute(0, 3, 1, 2)
        expected = plain.stage.compose(plain.generator.paint_over(smooth, inputs))
    difference = np.abs(buffers.rgb[0].numpy().astype(int) - expected.astype(int))
    # Rounding to 8 bits: values near a half may round either way.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    outside = ~inputs.active[0, 0].numpy()
    assert outside.sum() > 50
    np.testing.assert_array_equal(
        buffers.rgb[0].numpy()[outside], plain.stage.background_rgb[outside]
    )
