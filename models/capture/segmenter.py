"""Separates a person from the background with MediaPipe's selfie segmentation.

The model is published without the metadata that MediaPipe's task API reads, which says that it
takes values in 0..1; `with_metadata` adds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import flatbuffers
import mediapipe as mp
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as model_schema
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from models.contract.images import RgbImage

_PERSON = 96
"""Coverage (u8) from which on a pixel belongs to a person, for finding connected parts."""
_AROUND_PX = 7
"""Width of the border around the largest part in which soft coverage is kept."""


class Segmenter:
    """MediaPipe's image segmenter; use `open_segmenter`."""

    def __init__(self, segmenter: Any) -> None:
        self._segmenter = segmenter

    def coverage(self, rgb: RgbImage) -> NDArray[np.uint8]:
        """Return (H, W) how much of each pixel the largest person covers, u8."""
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        confidence = self._segmenter.segment(image).confidence_masks[-1].numpy_view()
        soft = np.clip(np.squeeze(confidence) * 255 + 0.5, 0, 255).astype(np.uint8)
        return largest_part(soft)


def largest_part(coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a mask (H, W) u8 without the parts that are not connected to its largest one."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (coverage > _PERSON).astype(np.uint8)
    )
    if count < 2:
        return np.zeros_like(coverage)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    kept = (labels == largest).astype(np.uint8)
    near = cv2.dilate(kept, np.ones((_AROUND_PX, _AROUND_PX), np.uint8)) > 0
    return np.where(near, coverage, 0).astype(np.uint8)


@contextmanager
def open_segmenter(model: Path) -> Iterator[Segmenter]:
    """Open a segmenter and close it in the end.

    Args:
        model: `selfie_segmentation.tflite`, see `scripts/install_tracker.py --capture`.
    """
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_buffer=with_metadata(model.read_bytes())),
        running_mode=vision.RunningMode.IMAGE,
        output_confidence_masks=True,
        output_category_mask=False,
    )
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        yield Segmenter(segmenter)


def with_metadata(model: bytes) -> bytes:
    """Return a TensorFlow Lite model of images with the note that it takes RGB values in 0..1."""
    tree = model_schema.ModelT.InitFromObj(model_schema.Model.GetRootAsModel(model, 0))
    buffer = model_schema.BufferT()
    buffer.data = list(_finished(_metadata(), b"M001"))
    tree.buffers.append(buffer)
    entry = model_schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(tree.buffers) - 1
    tree.metadata = [*(tree.metadata or []), entry]
    return _finished(tree, b"TFL3")


def _metadata() -> Any:
    scale = metadata_schema.NormalizationOptionsT()
    scale.mean, scale.std = [0.0], [255.0]
    unit = metadata_schema.ProcessUnitT()
    unit.optionsType = metadata_schema.ProcessUnitOptions.NormalizationOptions
    unit.options = scale
    colours = metadata_schema.ImagePropertiesT()
    colours.colorSpace = metadata_schema.ColorSpaceType.RGB
    content = metadata_schema.ContentT()
    content.contentPropertiesType = metadata_schema.ContentProperties.ImageProperties
    content.contentProperties = colours
    given, result = metadata_schema.TensorMetadataT(), metadata_schema.TensorMetadataT()
    given.name, given.processUnits, given.content = "input", [unit], content
    result.name = "output"
    graph = metadata_schema.SubGraphMetadataT()
    graph.inputTensorMetadata, graph.outputTensorMetadata = [given], [result]
    model = metadata_schema.ModelMetadataT()
    model.name, model.subgraphMetadata = "selfie_segmentation", [graph]
    return model


def _finished(tree: Any, identifier: bytes) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(tree.Pack(builder), identifier)
    return bytes(builder.Output())
