"""Measure the server as a viewer experiences it, and its parts.

    .venv/bin/python scripts/benchmark.py latency --seconds 20 --size 256
    .venv/bin/python scripts/benchmark.py load --viewers 16
    .venv/bin/python scripts/benchmark.py models
    .venv/bin/python scripts/benchmark.py rasterizer
    .venv/bin/python scripts/benchmark.py edges
    .venv/bin/python scripts/benchmark.py pool --workers 1 2
    .venv/bin/python scripts/benchmark.py encode
    .venv/bin/python scripts/benchmark.py codecs
    .venv/bin/python scripts/benchmark.py reprojection
    .venv/bin/python scripts/benchmark.py camera
    .venv/bin/python scripts/benchmark.py devices
    .venv/bin/python scripts/benchmark.py voice
    .venv/bin/python scripts/benchmark.py call
    .venv/bin/python scripts/benchmark.py sharpness
    .venv/bin/python scripts/benchmark.py handover
    .venv/bin/python scripts/benchmark.py sizes

`latency` starts a server, opens its page in headless Chromium, moves the view in three ways one
after the other, and reads the page's statistics. `pose_to_photon_ms` is the time from sampling a
pose to the display of the first video frame rendered for it, matched by RTP timestamp;
`sent_to_photon_ms` starts when the pose is sent, which is later where the page delays it to match a
refresh of the screen. Both are for the first movement; `movements` holds all of them. `load` starts
a server and adds viewers until their frame rate or latency is worse than that of a single viewer.
Server, browser and viewers share the cores of this machine. `models` measures the renderer alone,
`rasterizer` the rasterizer, `edges` the aliasing of outlines and inner edges, `pool` the render
processes, `encode` the codecs, `codecs` VP9, AV1 and regions of interest against x264 at equal
bitrates, and `reprojection` the error of late reprojection. `camera` publishes a fake camera from
Chromium, which watches its own stream, and measures from the camera's frame to the display of the
avatar's. `voice` publishes a fake microphone too, whose beeps fall on openings of the jaw, and
measures at a viewer the time between hearing and seeing them; viewers with and without the voice
alternate, so that their video latencies can be compared. `call` joins two pages in a call, both
with camera and voice, and measures both directions. `devices` starts a host for each of up to eight
fake devices behind a router, with real viewers, and ends one. `sharpness` compares still faces, as
video and as refined stills, with the studio's image at the size of a screen. `handover` times
frames from the warp through the ring to the packet. `sizes` times warps and refreshes of frames of
several sizes. Each benchmark ends with one line of JSON.
"""

from __future__ import annotations

import json
from typing import Annotated

import tyro

from scripts.benchmarking.call import Call, call
from scripts.benchmarking.camera import Camera, camera
from scripts.benchmarking.codecs import Codecs, codecs
from scripts.benchmarking.devices import Devices, devices
from scripts.benchmarking.edges import Edges, edges
from scripts.benchmarking.encode import Encoders, encoders
from scripts.benchmarking.handover import Handover, handover
from scripts.benchmarking.latency import Latency, latency
from scripts.benchmarking.load import Load, load
from scripts.benchmarking.models import Models, models
from scripts.benchmarking.pool import Pool, pool
from scripts.benchmarking.rasterizer import Rasterizer, rasterizers
from scripts.benchmarking.reprojection import Reprojection, reprojection
from scripts.benchmarking.sharpness import Sharpness, sharpness
from scripts.benchmarking.sizes import Sizes, sizes
from scripts.benchmarking.voice import Voice, voice

Subcommand = (
    Latency
    | Load
    | Models
    | Rasterizer
    | Edges
    | Pool
    | Encoders
    | Codecs
    | Reprojection
    | Camera
    | Voice
    | Call
    | Devices
    | Sharpness
    | Handover
    | Sizes
)


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
        case Edges():
            result = edges(command)
        case Pool():
            result = pool(command)
        case Encoders():
            result = encoders(command)
        case Codecs():
            result = codecs(command)
        case Reprojection():
            result = reprojection(command)
        case Camera():
            result = camera(command)
        case Devices():
            result = devices(command)
        case Sharpness():
            result = sharpness(command)
        case Voice():
            result = voice(command)
        case Call():
            result = call(command)
        case Handover():
            result = handover(command)
        case Sizes():
            result = sizes(command)
    print(json.dumps(result))


Command = Annotated[
    Annotated[Latency, tyro.conf.subcommand("latency")]
    | Annotated[Load, tyro.conf.subcommand("load")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Rasterizer, tyro.conf.subcommand("rasterizer")]
    | Annotated[Edges, tyro.conf.subcommand("edges")]
    | Annotated[Pool, tyro.conf.subcommand("pool")]
    | Annotated[Encoders, tyro.conf.subcommand("encode")]
    | Annotated[Codecs, tyro.conf.subcommand("codecs")]
    | Annotated[Reprojection, tyro.conf.subcommand("reprojection")]
    | Annotated[Camera, tyro.conf.subcommand("camera")]
    | Annotated[Voice, tyro.conf.subcommand("voice")]
    | Annotated[Call, tyro.conf.subcommand("call")]
    | Annotated[Devices, tyro.conf.subcommand("devices")]
    | Annotated[Sharpness, tyro.conf.subcommand("sharpness")]
    | Annotated[Handover, tyro.conf.subcommand("handover")]
    | Annotated[Sizes, tyro.conf.subcommand("sizes")],
    tyro.conf.OmitSubcommandPrefixes,
]

if __name__ == "__main__":
    main(tyro.cli(Command, description=__doc__))
