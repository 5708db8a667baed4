"""Measure the server as a viewer meets it, and its parts.

    .venv/bin/python scripts/benchmark.py latency --seconds 20 --size 256
    .venv/bin/python scripts/benchmark.py load --viewers 16
    .venv/bin/python scripts/benchmark.py models
    .venv/bin/python scripts/benchmark.py rasterizer
    .venv/bin/python scripts/benchmark.py pool --workers 1 2
    .venv/bin/python scripts/benchmark.py encode

`latency` starts a server, opens its page in headless Chromium, moves the view in three ways one
after the other, and asks the page for what it saw: `pose_to_photon_ms` runs from the moment a pose
was current until the display of the first video frame drawn for it, joined by RTP timestamp;
`sent_to_photon_ms` from sending it, which is later where a pose is held until it just reaches a
refresh of the screen. Both are of the first movement; `movements` has all of them. `load` starts a
server and more and more viewers, until they no longer get what a single one gets. Everything shares
this machine's cores. `models` times the renderer alone, `rasterizer` the triangles, `pool` the
render processes, `encode` the codecs. Each ends with one line of JSON.
"""

from __future__ import annotations

import json
from typing import Annotated

import tyro

from scripts.benchmarking.encode import Encoders, encoders
from scripts.benchmarking.latency import Latency, latency
from scripts.benchmarking.load import Load, load
from scripts.benchmarking.models import Models, models
from scripts.benchmarking.pool import Pool, pool
from scripts.benchmarking.rasterizer import Rasterizer, rasterizers

Subcommand = Latency | Load | Models | Rasterizer | Pool | Encoders


def main(command: Subcommand) -> None:
    """Run one benchmark."""
    match command:
        case Latency():
            result = latency(command)
        case Load():
            result = load(command)
        case Models():
            result = models(command)
        case Rasterizer():
            result = rasterizers(command)
        case Pool():
            result = pool(command)
        case Encoders():
            result = encoders(command)
    print(json.dumps(result))


Command = Annotated[
    Annotated[Latency, tyro.conf.subcommand("latency")]
    | Annotated[Load, tyro.conf.subcommand("load")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Rasterizer, tyro.conf.subcommand("rasterizer")]
    | Annotated[Pool, tyro.conf.subcommand("pool")]
    | Annotated[Encoders, tyro.conf.subcommand("encode")],
    tyro.conf.OmitSubcommandPrefixes,
]

if __name__ == "__main__":
    main(tyro.cli(Command, description=__doc__))
