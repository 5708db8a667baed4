// STUN and TURN servers, as a WHEP server names them in `Link` headers (RFC 9725, section 4.6).

const LINK = /<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^",;\s]+))*)/g;
const PARAMETER = /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",;\s]+))/g;

/**
 * @param {string | null} links all `Link` headers, with commas between
 * @returns {RTCIceServer[]} none where there are none for ICE
 */
export function iceServers(links) {
  const servers = [];
  for (const [, urls, rest] of (links ?? "").matchAll(LINK)) {
    const facts = Object.fromEntries(
      [...rest.matchAll(PARAMETER)].map(([, name, quoted, plain]) => [
        name.toLowerCase(),
        plain ?? quoted.replace(/\\(.)/g, "$1"),
      ]),
    );
    if (facts.rel !== "ice-server") continue;
    const { username, credential } = facts;
    servers.push(username === undefined ? { urls } : { urls, username, credential });
  }
  return servers;
}
