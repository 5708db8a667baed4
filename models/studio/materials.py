"""The materials of a head, and their indices in the array `materials` of head files."""

from __future__ import annotations

MATERIALS = ("skin", "mouth", "teeth", "tongue", "eye", "lash", "hair", "cloth")
"""Names by index; the studio can light no others."""

SKIN, MOUTH, TEETH, TONGUE, EYE, LASH, HAIR, CLOTH = range(len(MATERIALS))
