"""Send the UDP packets of the app Live Link Face, to try `--live-link-port` without a phone.

    .venv/bin/python scripts/examples/send_live_link.py --subject me --seconds 10
    .venv/bin/python scripts/examples/send_live_link.py --recording RECORDING.csv

Needs nothing but Python. The server must listen: scripts/serve.sh --live-link-port 11111
"""

import argparse
import csv
import math
import socket
import struct
import time
from collections.abc import Iterator

SIDES = ("Left", "Right")
ORDER = (
    *(
        f"Eye{what}{side}"
        for side in SIDES
        for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
    ),
    # A packet has Left before Right here; recordings of the app have Right first.
    *("JawForward", "JawLeft", "JawRight", "JawOpen"),
    *("MouthClose", "MouthFunnel", "MouthPucker", "MouthLeft", "MouthRight"),
    *(f"Mouth{what}{side}" for what in ("Smile", "Frown", "Dimple", "Stretch") for side in SIDES),
    *("MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper"),
    *(f"Mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in SIDES),
    *("BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight"),
    *("CheekPuff", "CheekSquintLeft", "CheekSquintRight"),
    *("NoseSneerLeft", "NoseSneerRight", "TongueOut"),
    *("HeadYaw", "HeadPitch", "HeadRoll"),
    *(f"{side}Eye{angle}" for side in SIDES for angle in ("Yaw", "Pitch", "Roll")),
)
DEVICE = b"00000000-0000-0000-0000-000000000000"


def packet(values: dict[str, float], subject: str, at_s: float) -> bytes:
    """Return one packet, with a time code of 60 frames per second."""
    name = subject.encode()
    frame, subframe = divmod(at_s * 60, 1)
    return (
        struct.pack(">Bi", 6, len(DEVICE))
        + DEVICE
        + struct.pack(">i", len(name))
        + name
        + struct.pack(">ifii", int(frame), subframe, 60, 1)
        + struct.pack(">B61f", 61, *(values.get(each, 0.0) for each in ORDER))
    )


def made_up(fps: float) -> Iterator[dict[str, float]]:
    """Yield a face that speaks and turns its head."""
    at_s = 0.0
    while True:
        mouth = 0.3 + 0.3 * math.sin(at_s * 10)
        yield {"JawOpen": mouth, "MouthSmileLeft": 0.2, "HeadYaw": 0.3 * math.sin(at_s * 1.5)}
        at_s += 1 / fps


def recorded(path: str) -> Iterator[dict[str, float]]:
    """Yield the rows of a recording of the app, its CSV file."""
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            yield {name: float(row[name]) for name in ORDER if row.get(name)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Send Live Link Face packets.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11111)
    parser.add_argument("--subject", default="me")
    parser.add_argument("--recording", help="CSV file of the app; default: a made-up face")
    parser.add_argument("--fps", type=float, default=30.0, help="rows per second")
    parser.add_argument("--seconds", type=float, default=math.inf)
    options = parser.parse_args()

    faces = recorded(options.recording) if options.recording else made_up(options.fps)
    print(f"watch it at http://127.0.0.1:8000/?stream={options.subject}")
    started, sent = time.monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for values in faces:
            due_s = sent / options.fps
            if due_s >= options.seconds:
                break
            time.sleep(max(0.0, started + due_s - time.monotonic()))
            sender.sendto(packet(values, options.subject, due_s), (options.host, options.port))
            sent += 1
    print(f"sent {sent} packets")


if __name__ == "__main__":
    main()
