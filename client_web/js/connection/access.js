// The access token this page sends to the server, if the server requires one.
//
// The token comes in the page's address after `#`, which browsers do not send to servers, or is
// typed in. It is kept for this tab only and removed from the address at once, so that a copied
// address does not contain it.

const STORAGE_KEY = "telewarp.token";
const SUBPROTOCOL = "telewarp";

export class Access {
  #token = "";
  #storage;
  #origin;
  /** @type {Map<string, string>} tokens issued by hosts behind a router, by the host's origin */
  #hostTokens = new Map();
  /**
   * Tokens issued for one address, and what is below it: a host gives a viewer and a publisher different
   * ones.
   *
   * @type {Map<string, string>}
   */
  #addressTokens = new Map();
  /**
   * Where sessions were opened, by endpoint; behind a router, another host.
   *
   * @type {Map<string, {address: URL, token: string | null}>}
   */
  #opened = new Map();

  /**
   * @param {string} origin the server's. The token is sent to no other origin; hosts that a router
   *   redirects to issue tokens of their own.
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} storage keeps the token over
   *   a reload
   */
  constructor(origin, storage) {
    this.#origin = origin;
    this.#storage = storage;
    this.#token = storage?.getItem(STORAGE_KEY) ?? "";
  }

  /**
   * Use a token from now on.
   *
   * @param {string} token typed or pasted, also as a whole link; "" removes the token
   */
  use(token) {
    this.#token = tokenIn(token) ?? token.trim();
    if (this.#token) this.#storage?.setItem(STORAGE_KEY, this.#token);
    else this.#storage?.removeItem(STORAGE_KEY);
  }

  /**
   * Move the token from the page's address into this object.
   *
   * @param {Pick<Location, "hash" | "pathname" | "search">} location
   * @param {Pick<History, "state" | "replaceState">} history
   */
  takeFrom(location, history) {
    const token = tokenIn(location.hash);
    if (token === null) return;
    this.use(token);
    history.replaceState(history.state, "", location.pathname + location.search);
  }

  /**
   * Remember where a session was opened.
   *
   * @param {URL} endpoint where it was requested
   * @param {URL} address the address after all redirects
   * @param {URL} session its own address
   * @param {string | null} token issued by that host, if any
   */
  sessionOpened(endpoint, address, session, token) {
    this.#opened.set(endpoint.href, { address, token });
    if (token) this.#addressTokens.set(keyOf(session), token);
  }

  /**
   * Remember a session that was opened by another address: it has the same token.
   *
   * @param {URL} session its own address
   * @param {URL} address that opened it
   */
  sessionNamed(session, address) {
    const token = this.#addressTokens.get(keyOf(address));
    if (token) this.#addressTokens.set(keyOf(session), token);
  }

  /**
   * Forget a session that has ended.
   *
   * @param {URL} session its address
   */
  sessionClosed(session) {
    this.#addressTokens.delete(keyOf(session));
  }

  /**
   * Remember the token of a host that a router redirected to.
   *
   * @param {URL} address on the host
   * @param {string | null} token issued by it, if any
   */
  hostFound({ origin }, token) {
    if (token) this.#hostTokens.set(origin, token);
  }

  /**
   * Return an address next to an endpoint, on the host where its last session was opened.
   *
   * @param {string} name last part of the path
   * @param {URL} endpoint where sessions are requested
   * @returns {URL}
   */
  beside(name, endpoint) {
    const { address, token } = this.#opened.get(endpoint.href) ?? { address: endpoint };
    const found = new URL(name, address);
    if (token) this.#addressTokens.set(keyOf(found), token);
    return found;
  }

  /**
   * `fetch`, with the token added.
   *
   * @type {typeof globalThis.fetch}
   */
  fetch = (resource, options = {}) => {
    const headers = new Headers(options.headers);
    const token = this.#tokenFor(new URL(String(resource), this.#origin || undefined));
    if (token) headers.set("Authorization", `Bearer ${token}`);
    return globalThis.fetch(resource, { ...options, headers });
  };

  /**
   * Return the WebSocket subprotocols that carry token and ticket: a browser cannot set headers.
   *
   * @param {URL} address of the WebSocket
   * @param {string | null} [ticket] of the queue
   * @returns {string[]}
   */
  subprotocols(address, ticket = null) {
    const token = this.#tokenFor(new URL(address.href.replace(/^ws/, "http")));
    const carried = [];
    if (token) carried.push(`${SUBPROTOCOL}.token.${token}`);
    if (ticket) carried.push(`${SUBPROTOCOL}.ticket.${ticket}`);
    return carried.length ? [SUBPROTOCOL, ...carried] : [];
  }

  /** @param {URL} address */
  #tokenFor(address) {
    const { origin } = address;
    if (origin === this.#origin) return this.#token;
    const key = keyOf(address);
    for (const [known, token] of this.#addressTokens) {
      if (key === known || key.startsWith(`${known}/`)) return token;
    }
    return this.#hostTokens.get(origin);
  }
}

/** @param {URL} address */
function keyOf({ origin, pathname }) {
  return origin + pathname;
}

/**
 * @param {string} text
 * @returns {string | null} the value of `#token=`
 */
function tokenIn(text) {
  const hash = text.indexOf("#");
  return hash < 0 ? null : new URLSearchParams(text.slice(hash + 1)).get("token");
}

/**
 * Return this tab's storage.
 *
 * @returns {Storage | null} null where the browser forbids it
 */
export function tabStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

/** The page's own instance: one page has one server and one token. */
export const access = new Access(globalThis.location?.origin ?? "", tabStorage());
