"""Fuzz a real server with tokens: send invalid requests for some minutes.

    .venv/bin/python scripts/fuzz_server.py http --minutes 10
    .venv/bin/python scripts/fuzz_server.py sdp --minutes 10

Starts a server. `http` calls every operation of its OpenAPI description with values that fit the
description and with others (schemathesis); `sdp` sends damaged offers and candidates by WHEP and
WHIP. Ends with one line of JSON: the number of answers by status, server errors, tracebacks in the
log, and memory (MB, shared pages counted once), threads and files of the server after a fifth of
the time and at the end. The exit code is 1 if there was a server error or traceback, or if the
memory grew by more than 10 %.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import schemathesis
import tyro
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok

from scripts.benchmarking.serving import memory_mb, serve
from server.auth.grants import Scope
from server.auth.tokens import read_tokens
from server.http.avatar_jobs import ARCHIVE, VIDEOS

_SETTINGS = (
    "--max-requests-per-s 100000 --max-sessions 8 --idle-session-s 2 --max-streams 64"
    " --max-avatar-jobs 1 --max-upload-mb 1"
)
_MOST_GROWTH = 1.1
_WARM_PART = 0.2
"""Fraction of the time after which memory, threads and files must not grow."""
_ANSWER_S = 400.0
"""Timeout of a request, which ends the run, seconds. Long, because the run may be paused meanwhile
for a measurement."""
_EXAMPLES = 25
"""Number of calls of one operation before the next one."""
_MUTATIONS = 6
"""Maximum number of mutations of one offer."""
_BUSY = {"full", "draining"}
"""Reasons of a 503 that are no error."""
TEXT_TYPES = (
    "application/sdp",
    "application/trickle-ice-sdpfrag",
    "application/x-ndjson",
    ARCHIVE,
    *VIDEOS,
)
"""Types of bodies that are sent as text, because schemathesis itself sends JSON only."""
_SDP = {"Content-Type": "application/sdp"}
_FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
_LINES = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 FINGERPRINT
a=setup:actpass
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=mid:0
a=rtcp-mux
a=sendrecv
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host
m=video 9 UDP/TLS/RTP/SAVPF 102 96 97
c=IN IP4 0.0.0.0
a=mid:1
a=rtcp-mux
a=recvonly
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=rtpmap:102 H264/90000
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:102 nack pli
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc:1234 cname:x
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
a=candidate:1 1 udp 1 fe80::1 1024 typ srflx raddr 0.0.0.0 rport 9 generation 0
a=end-of-candidates""".replace("FINGERPRINT", ":".join(["AB"] * 32)).splitlines()
_WORDS = (
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "1e9",
    "",
    " ",
    "*",
    "\u00e9",
    "\x00",
    "x" * 300,
)
"""Replacements of parts of lines."""
_OTHERS = (
    "m=application 9 DTLS/SCTP 5000",
    "m=video 0 UDP/TLS/RTP/SAVPF 39 40 63",
    "m=audio 9 udp/tls/rtp/savpf 63",
    "a=rtpmap:39 H264/90000",
    "a=rtpmap:63 OPUS/48000",
    "a=fmtp:39 profile-level-id=640c1f;Packetization-Mode=1",
    "a=mid:(1)",
    "a=mid:telewarp-1",
    "a=rtcp-mux",
    "a=bundle-only",
    "a=ice-lite",
    "a=group:bundle 1 0",
    "a=setup:Active",
    "a=simulcast:recv q;h",
    "a=candidate:2f1c-{a} 1 UDP 1 192.0.2.9 40000 TYP HOST",
    "a=fingerprint:sha-1 " + ":".join(["AB"] * 20),
    "s=\ta",
)
"""Lines as other programs write them."""


@dataclass(frozen=True)
class Options:
    """Fuzz a server."""

    what: Annotated[Literal["http", "sdp"], tyro.conf.Positional]
    """Kind of requests: `http` or `sdp`."""
    minutes: float = 10.0
    """Duration."""
    seed: int = 0
    """Seed of the mutations of `sdp`."""


@dataclass
class Fuzzed:
    """A server under test, and its answers."""

    address: str
    pid: int
    headers: Mapping[str, str]
    ends_at: float
    statuses: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self.ends_at

    def count(self, status: int, request: str, answer: str) -> None:
        """Count an answer, and keep the first server errors."""
        self.statuses[status] += 1
        busy = status == 503 and json.loads(answer).get("reason") in _BUSY
        if status >= 500 and not busy and len(self.errors) < 10:
            self.errors.append(f"{status} {answer[:300]} to {request[:2000]}")


def main(options: Options) -> int:
    """Run the fuzzer. Returns the exit code."""
    warm: dict[str, int] | None = None
    with tempfile.TemporaryDirectory() as folder, _fuzzed(options, Path(folder)) as server:
        began = time.monotonic()
        fuzz = {"http": _requests, "sdp": _offers}[options.what]
        for _ in fuzz(server, options.seed):
            if warm is None and time.monotonic() - began > options.minutes * 60 * _WARM_PART:
                warm = _use(server.pid)
                print(f"warm: {warm}", file=sys.stderr, flush=True)
        time.sleep(5)  # until the last sessions have ended
        end = _use(server.pid)
        result = {
            "statuses": dict(sorted(server.statuses.items())),
            "errors": server.errors,
            "tracebacks": _tracebacks((Path(folder) / "log").read_text()),
            "warm": warm,
            "end": end,
        }
    print(json.dumps(result))
    grown = warm is not None and end["server"] > warm["server"] * _MOST_GROWTH
    return 1 if result["errors"] or result["tracebacks"] or grown else 0


@contextmanager
def _fuzzed(options: Options, folder: Path) -> Iterator[Fuzzed]:
    """Run a server that requires tokens, with a token that has all scopes."""
    file = folder / "tokens.toml"
    file.write_text('signing_keys = ["a key of thirty-two bytes or more"]')
    token = read_tokens(file).sign([Scope.ADMIN], None, options.minutes + 60)
    arguments = ["--tokens", str(file), "--recordings", str(folder / "recordings")]
    arguments += ["--avatar-store", str(folder / "store")]
    with (
        (folder / "log").open("wb") as log,
        serve(*arguments, *_SETTINGS.split(), log=log) as (address, pid),
    ):
        headers = {"Authorization": f"Bearer {token}"}
        yield Fuzzed(address, pid, headers, time.monotonic() + options.minutes * 60)


def _tracebacks(log: str) -> dict[str, int]:
    """Return the last lines of the tracebacks in a log, counted; the first one is printed whole."""
    found = re.findall(r"^Traceback .*\n(?:(?: .*)?\n)*\S.*$", log, re.MULTILINE)
    if found:
        print(found[0], file=sys.stderr, flush=True)
    return dict(Counter(one.rpartition("\n")[2][:200] for one in found))


def _use(pid: int) -> dict[str, int]:
    """Return memory, threads and open files of a server."""
    counts = {name: len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("task", "fd")}
    return {**memory_mb(pid), "threads": counts["task"], "files": counts["fd"]}


@schemathesis.serializer(*TEXT_TYPES)
def _as_text(context: schemathesis.SerializationContext, value: object) -> bytes:
    return str(value).encode(errors="replace")


def _requests(server: Fuzzed, seed: int) -> Iterator[None]:
    """Call all operations in turn until the time is over; yields after each."""
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    while not server.over:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            _call(server, found.ok())
            yield
            if server.over:
                return


def _call(server: Fuzzed, operation: schemathesis.APIOperation[Any, Any, Any, Any]) -> None:
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: Case[Any]) -> None:
        if server.over:
            return
        # Other ids only lead to 404, and deleting the only stream would lead there too.
        if "stream_id" in case.path_parameters and case.method.upper() != "DELETE":
            case.path_parameters["stream_id"] = "demo"
        answer = case.call(headers=dict(server.headers), timeout=_ANSWER_S)
        text = answer.content.decode(errors="replace")
        server.count(answer.status_code, case.as_curl_command(), text)

    call()


def _offers(server: Fuzzed, seed: int) -> Iterator[None]:
    """Send damaged offers and fragments until the time is over; yields after each offer."""
    chance = random.Random(seed)
    with httpx2.Client(base_url=server.address, headers=server.headers, timeout=_ANSWER_S) as http:
        while not server.over:
            path = chance.choice(["whep", "whip"])
            sdp = _damaged(chance)
            answer = http.post(f"/v1/streams/demo/{path}", content=sdp, headers=_SDP)
            server.count(answer.status_code, repr(sdp), answer.text)
            if answer.status_code == 201:
                _continue(server, http, chance, answer.headers["location"])
            yield


def _continue(server: Fuzzed, http: httpx2.Client, chance: random.Random, session: str) -> None:
    """Send damaged candidates to a session, and end it more often than not."""
    for _ in range(chance.randrange(3)):
        fragment = _damaged(chance)
        answer = http.patch(session, content=fragment, headers=_FRAGMENT)
        server.count(answer.status_code, repr(fragment), answer.text)
    if chance.random() < 0.8:
        server.statuses[http.delete(session).status_code] += 1


def _damaged(chance: random.Random) -> bytes:
    """Return a mutated offer: changes of its text or of its bytes."""
    lines = list(_LINES)
    for _ in range(chance.randrange(1, _MUTATIONS)):
        _damage(lines, chance)
    sdp = bytearray(chance.choice(["\r\n", "\n"]).join([*lines, ""]).encode())
    for _ in range(chance.choice([0, 0, 0, 1, 5])):
        sdp[chance.randrange(len(sdp))] = chance.randrange(256)
    return bytes(sdp)


def _damage(lines: list[str], chance: random.Random) -> None:
    """Remove, repeat, move, add or change one line or one word of it, or all of a kind."""
    if not lines:
        return
    at = chance.randrange(len(lines))
    match chance.randrange(9):
        case 0:
            del lines[at]
        case 1:
            lines[at:at] = [lines[at]] * chance.choice([1, 1, 2, 50])
        case 2:
            lines.insert(chance.randrange(len(lines)), lines.pop(at))
        case 3:
            lines[at] = chance.choice("amcovst") + "=" + lines[at].partition("=")[2]
        case 4:
            lines[at] += " " + chance.choice(lines)
        case 5:
            kind = lines[at].partition(":")[0]
            lines[:] = [line for line in lines if line.partition(":")[0] != kind]
        case 6:
            lines[at] = lines[at][:2] + lines[at][2:].swapcase()
        case 7:
            lines.insert(at, chance.choice(_OTHERS))
        case _:
            words = re.split(r"([ :/;=])", lines[at])
            words[chance.randrange(len(words))] = chance.choice(_WORDS)
            lines[at] = "".join(words)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
