// STUN and TURN servers, as a WHEP server lists them in `Link` headers (RFC 9725, section 4.6).

const LINK = /<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^",;\s]+))*)/g;
const PARAMETER = /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",;\s]+))/g;

/**
 * Read the ICE servers out of `Link` headers.
 *
 * @param {string | null} links all `Link` headers, joined by commas
 * @returns {RTCIceServer[]} empty if there are none
 */
export function iceServers(links) {
  /** @type {RTCIceServer[]} */
  const servers = [];
  for (const [, urls, rest] of (links ?? "").matchAll(LINK)) {
    const parameters = Object.fromEntries(
      [...rest.matchAll(PARAMETER)].map(([, name, quoted, plain]) => [
        name.toLowerCase(),
        plain ?? quoted.replace(/\\(.)/g, "$1"),
      ]),
    );
    if (parameters.rel !== "ice-server") continue;
    const { username, credential } = parameters;
    servers.push(username === undefined ? { urls } : { urls, username, credential });
  }
  return servers;
}
