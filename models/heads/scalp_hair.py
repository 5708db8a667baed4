"""Grows the hair of the head: combed into a bun, cut as a bob, or cropped and curled."""

from __future__ import annotations

from numpy.random import Generator

from models.heads.bob_hairs import bob_tuft
from models.heads.bun import bun_tuft
from models.heads.cropped_hair import cropped
from models.heads.shell import Shell
from models.heads.source import Source
from models.heads.swept_hair import fine_hairs, loose_hairs, swept
from models.heads.tufts import Tuft


def scalp_tufts(source: Source, random: Generator) -> list[Tuft]:
    """Return all hairs of the head: tied back, cut as a bob, or cropped."""
    cut = source.recipe.hair
    if cut.style == "cropped":
        return [cropped(source, random)]
    if cut.style == "bob":
        return [bob_tuft(source, random)]
    shell = Shell(source)
    # In this order: all draw from one random generator, and baked heads must stay the same.
    tufts = [swept(source, shell, random, cut.strands), fine_hairs(source, shell, random)]
    return [*tufts, loose_hairs(source, shell, random), bun_tuft(random)]
