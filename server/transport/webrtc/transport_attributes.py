"""Check the attributes of an offered transport: its ICE user, DTLS fingerprints and role."""

from __future__ import annotations

import re

from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS

from server.errors import BadOfferError
from server.transport.webrtc.offer import Section

# RFC 8839, section 5.4: characters and lengths of both.
_ICE_USER = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ICE_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"(\S+) +((?:[0-9A-Fa-f]{2}:)*[0-9A-Fa-f]{2})")
_MOST_FINGERPRINTS = 8
_SETUPS = ("actpass", "active", "passive")


def _ice_user(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    return _one(section, values, "a=ice-ufrag of 4 to 256 letters, digits, + and /", _ICE_USER)


def _ice_password(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    if values and not _ICE_PASSWORD.fullmatch(values[0]):
        values = ("*" * min(len(values[0]), 8),)  # the message must not contain a secret
    return _one(section, values, "a=ice-pwd of 22 to 256 letters, digits, + and /", _ICE_PASSWORD)


def _setup(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    values = tuple(value.lower() for value in values)
    return _one(
        section, values, "a=setup:actpass, active or passive", re.compile("|".join(_SETUPS))
    )


def _one(
    section: Section, values: tuple[str, ...], wanted: str, form: re.Pattern[str]
) -> tuple[str, ...]:
    if not values or not form.fullmatch(values[0]):
        got = repr(values[0][:20]) if values else "none"
        raise BadOfferError(f"expected {wanted} in {section.name}, got {got}")
    return values[:1]


def _fingerprints(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fingerprints of hashes that aiortc checks."""
    found = [m for m in map(_FINGERPRINT.fullmatch, values) if m is not None]
    usable = [
        m
        for m in found
        if (hashed := X509_DIGEST_ALGORITHMS.get(m[1].lower())) is not None
        # Two digits and a colon per byte, without the last colon.
        and len(m[2]) == 3 * hashed.digest_size - 1
    ]
    if not usable:
        got = ", ".join(value.split(" ")[0] for value in values[:4])[:60] or "none"
        raise BadOfferError(
            f"expected a=fingerprint of {', '.join(X509_DIGEST_ALGORITHMS)} in {section.name}, "
            f"got {got}"
        )
    return tuple(f"{m[1].lower()} {m[2].upper()}" for m in usable[:_MOST_FINGERPRINTS])


TRANSPORT = {
    "ice-ufrag": _ice_user,
    "ice-pwd": _ice_password,
    "fingerprint": _fingerprints,
    "setup": _setup,
}
"""Attributes of a transport, and the function that checks each: it returns the values to use."""
