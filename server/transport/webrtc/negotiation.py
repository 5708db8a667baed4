"""Answer every section of an offer: those that the server can use, and the others with port 0.

aiortc answers only offers whose sections it can all use. `Negotiation` therefore writes an offer of
the accepted sections for it, each with one format and checked attributes, and completes its answer
with what the offer has beyond them (RFC 3264, section 6; RFC 9429, section 5.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.errors import BadOfferError
from server.transport.webrtc.accepted_sections import AcceptedSection
from server.transport.webrtc.offer import Offer, Section
from server.transport.webrtc.transport_attributes import TRANSPORT

_ICE_LITE = "ice-lite"


class Negotiation:
    """The accepted sections of an offer, and the two texts that follow from them.

    Args:
        offer: The offer.
        accepted: Sections to be answered; at least one.

    Raises:
        BadOfferError: If one lacks what a connection needs.
    """

    def __init__(self, offer: Offer, accepted: Sequence[AcceptedSection]) -> None:
        self._offer = offer
        self._accepted = sorted(accepted, key=lambda chosen: chosen.section.index)
        self._by_index = {chosen.section.index: chosen for chosen in self._accepted}
        groups = ((self._known(group), group) for group in offer.bundles)
        # The first group of which a section is accepted: aiortc looks at one group only.
        self._bundle, self._bundled = next((pair for pair in groups if pair[0]), ([], ()))
        self._check_setup()
        self.sdp = self._write()
        """The offer for aiortc."""

    @property
    def ice_users(self) -> frozenset[str]:
        """The ICE user names of the sections."""
        return frozenset(self._transport_values(a, "ice-ufrag")[0] for a in self._accepted)

    def transport_of(self, mid: str | None) -> str | None:
        """Return the mid by which aiortc finds the transport of a section.

        Args:
            mid: An offered mid; None for the first section.

        Returns:
            None if the section has no transport, because it is rejected.
        """
        bundled = mid is None or any(section.mid == mid for section in self._bundled)
        if bundled and self._bundle:
            # aiortc takes candidates of a shared transport under the mid of its first section only.
            return self._bundle[0].mid
        known = [a.mid for a in self._accepted]
        if mid is None:
            return known[0]
        return mid if mid in known else None

    def complete(self, answer: str) -> str:
        """Turn aiortc's answer to `sdp` into the answer to the offer."""
        # Split in front of each `m=`; what precedes the first one is the session's part.
        session, *media = re.split(r"(?m)^(?=m=)", answer)
        head = [line for line in session.splitlines() if not line.startswith("a=group:")]
        mids = [a.section.mid for a in self._bundle]
        if mids:
            head.append(f"a=group:BUNDLE {' '.join(mid for mid in mids if mid)}")
        answered = dict(zip(self._by_index, media, strict=True))
        lines = [
            line
            for section in self._offer.sections
            for line in (
                self._answer(self._by_index[section.index], answered[section.index])
                if section.index in answered
                else _reject(section)
            )
        ]
        return "\r\n".join([*head, *lines]) + "\r\n"

    def _known(self, group: Sequence[Section]) -> list[AcceptedSection]:
        return [self._by_index[s.index] for s in group if s.index in self._by_index]

    def _answer(self, accepted: AcceptedSection, text: str) -> list[str]:
        for ours, answered in accepted.replaced.items():
            text = text.replace(ours, answered)
        first, *lines = text.splitlines()
        kind, port, _, formats = first.split(" ", 3)
        if accepted.section.mid is None:
            lines = [line for line in lines if not line.startswith("a=mid:")]
        return [f"{kind} {port} {accepted.section.protocol} {formats}", *lines]

    def _write(self) -> str:
        lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0"]
        if _ICE_LITE in self._offer.session:
            lines.append(f"a={_ICE_LITE}")
        if self._bundle:
            lines.append(f"a=group:BUNDLE {' '.join(a.mid for a in self._bundle)}")
        for accepted in self._accepted:
            lines += self._write_section(accepted)
        return "\r\n".join(lines) + "\r\n"

    def _write_section(self, accepted: AcceptedSection) -> list[str]:
        kind, formats = accepted.section.kind, " ".join(accepted.formats)
        attributes = [
            f"mid:{accepted.mid}",
            *(f"{n}:{v}" for n in TRANSPORT for v in self._transport_values(accepted, n)),
        ]
        if accepted.direction is not None:
            attributes += [accepted.direction, "rtcp-mux"]
        lines = (f"a={attribute}" for attribute in (*attributes, *accepted.attributes))
        # Port 9 and 0.0.0.0 mean that the candidates tell the address (RFC 9429, section 5.2.1).
        return [f"m={kind} 9 {accepted.protocol} {formats}", "c=IN IP4 0.0.0.0", *lines]

    def _transport_values(self, accepted: AcceptedSection, name: str) -> tuple[str, ...]:
        """Return checked values of a section's transport.

        A bundled section may leave them to the tagged one (RFC 9143, section 7.1.3).
        """
        section = accepted.section
        values = section.values(name)
        if not values and section in self._bundled:
            values = self._bundled[0].values(name)
        return TRANSPORT[name](section, values)

    def _check_setup(self) -> None:
        for accepted in self._accepted:
            section = accepted.section
            sources = (section, *self._bundled[:1]) if section in self._bundled else (section,)
            muxed = any(source.has_rtcp_mux for source in sources)
            if accepted.direction is not None and not muxed:
                raise BadOfferError(f"expected a=rtcp-mux in {section.name}, got none")


def _reject(section: Section) -> list[str]:
    first = f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    mid = [f"a=mid:{section.mid}"] if section.mid is not None else []
    return [first, "c=IN IP4 0.0.0.0", "a=inactive", *mid]
