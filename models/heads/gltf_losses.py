"""Collects the parts of a glTF file that are not used, for messages."""

from __future__ import annotations

from typing import Any

from models.contract.shown_text import shown

_MOST_NAMES = 4
_TEXTURES = ("normalTexture", "occlusionTexture", "emissiveTexture")
"""Properties of a material other than its base colour; the studio has its own shading."""


class Losses:
    """The features of a file that are not used, with the parts that have them.

    A file has up to thousands of parts: each feature is listed once, with the first few of its
    parts.
    """

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, None]] = {}

    def add(self, what: str, part: str = "") -> None:
        """Note that something of a part, or of the file, is not used."""
        self._parts.setdefault(what, {})[shown(part)] = None

    def notes(self) -> list[str]:
        """Return one line for each unused feature."""
        return [f"not used: {what}{_of(list(parts))}" for what, parts in self._parts.items()]

    def add_material(self, material: dict[str, Any], attributes: dict[str, Any], part: str) -> None:
        """Note the properties of a material that its base colour image does not contain."""
        if material.get("alphaMode") in ("MASK", "BLEND"):
            self.add("transparency", part)
        paint = dict(material.get("pbrMetallicRoughness") or {})
        factor = paint.get("baseColorFactor")
        if isinstance(factor, list) and factor[:3] != [1, 1, 1]:
            self.add("factors of the base colour", part)
        for name in _TEXTURES:
            if material.get(name) is not None:
                self.add(name, part)
        if paint.get("metallicRoughnessTexture") is not None:
            self.add("metallicRoughnessTexture", part)
        if "COLOR_0" in attributes:
            self.add("colours of vertices", part)


def _of(parts: list[str]) -> str:
    named = [part for part in parts if part]
    if not named:
        return ""
    return f" ({', '.join(named[:_MOST_NAMES])}{' ...' if len(named) > _MOST_NAMES else ''})"
