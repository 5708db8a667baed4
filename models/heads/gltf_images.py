"""Reads the base colour images of glTF files' materials."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.heads.gltf_file import GltfFile, MeshFileError, not_supported

MAX_PIXELS = 8192 * 8192
"""Pixels of all textures. A PNG of some kilobytes can hold a gigapixel."""
_KEPT_PIXELS = 2048
"""Rows and columns to which textures are reduced at once, more than a head file keeps."""


class Images:
    """The base colour images of a file.

    Args:
        file: The file.
    """

    def __init__(self, file: GltfFile) -> None:
        self._file = file
        self._left = MAX_PIXELS
        self._read: dict[int, NDArray[np.uint8] | None] = {}

    def of(self, texture: dict[str, Any]) -> NDArray[np.uint8] | None:
        """Return (h, w, 3) of a material's texture; None where it lies outside of a GLB file.

        Raises:
            MeshFileError: If it is broken, too large, or of a kind that is not supported.
        """
        described = self._file.item("textures", texture["index"])
        extensions = described.get("extensions") or {}
        number = (extensions.get("EXT_texture_webp") or described).get("source")
        if number is None and extensions:
            raise not_supported(next(iter(extensions)))
        if number is None:
            return None
        if number not in self._read:
            data = self._file.image(self._file.item("images", number))
            self._read[number] = None if data is None else self._decode(data)
        return self._read[number]

    def _decode(self, data: memoryview) -> NDArray[np.uint8]:
        """Return (h, w, 3) of an image file, reduced to what a head file can keep."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as file:
                    self._count(file.width * file.height)
                    file.draft("RGB", (_KEPT_PIXELS, _KEPT_PIXELS))
                    file.thumbnail((_KEPT_PIXELS, _KEPT_PIXELS))
                    return np.array(file.convert("RGB"))
        except MeshFileError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large() from None
        except Exception as exc:  # a broken image can raise anything
            raise MeshFileError("a texture is no readable PNG, JPEG or WebP image") from exc

    def _count(self, pixels: int) -> None:
        self._left -= pixels
        if self._left < 0:
            raise _too_large()


def _too_large() -> MeshFileError:
    return MeshFileError(f"expected textures of at most {MAX_PIXELS} pixels together")
