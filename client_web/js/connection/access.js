// The token this page shows to the server, where the server asks for one.
//
// It comes in the address after `#`, which browsers do not send to servers, or is typed in. It is kept
// for the tab only, and taken out of the address at once, so that it is not passed on with it.

const KEY = "telewarp.token";
const SUBPROTOCOL = "telewarp";

export class Access {
  #token = "";
  #storage;
  #origin;
  /** @type {Map<string, string>} by the origin of each host that gave one */ #given = new Map();
  /** @type {URL | null} where the last session was opened: behind a router, on another host */ #placed =
    null;

  /**
   * @param {string} origin the server's; no other one is told the token, but hosts that a router sends
   *   the page to give it tokens of their own
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} storage keeps it over a reload
   */
  constructor(origin, storage) {
    this.#origin = origin;
    this.#storage = storage;
    this.#token = storage?.getItem(KEY) ?? "";
  }

  /** @param {string} token typed or pasted, perhaps with the address around it; "" forgets it */
  use(token) {
    this.#token = tokenIn(token) ?? token.trim();
    if (this.#token) this.#storage?.setItem(KEY, this.#token);
    else this.#storage?.removeItem(KEY);
  }

  /**
   * Takes the token out of the page's address.
   *
   * @param {Location} location @param {History} history
   */
  takeFrom(location, history) {
    const token = tokenIn(location.hash);
    if (token === null) return;
    this.use(token);
    history.replaceState(history.state, "", location.pathname + location.search);
  }

  /**
   * Remembers where a session was opened.
   *
   * @param {URL} address it was posted to in the end @param {string | null} token the host gave, if any
   */
  placed(address, token) {
    this.#placed = address;
    if (token) this.#given.set(address.origin, token);
  }

  /**
   * @param {string} name @param {URL} endpoint where sessions are asked for
   * @returns {URL} what stands beside it, on the host that the last session was opened on
   */
  beside(name, endpoint) {
    return new URL(name, this.#placed ?? endpoint);
  }

  /** `fetch` with the token. @type {typeof globalThis.fetch} */
  fetch = (resource, options = {}) => {
    const headers = new Headers(options.headers);
    const { origin } = new URL(String(resource), this.#origin || undefined);
    const token = this.#tokenFor(origin);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    return globalThis.fetch(resource, { ...options, headers });
  };

  /**
   * @param {URL} address @param {string | null} [ticket] of the waiting line
   * @returns {string[]} the subprotocols that bring both to a WebSocket there, which has no headers
   */
  subprotocols({ origin }, ticket = null) {
    const token = this.#tokenFor(origin.replace(/^ws/, "http"));
    const brought = [];
    if (token) brought.push(`${SUBPROTOCOL}.token.${token}`);
    if (ticket) brought.push(`${SUBPROTOCOL}.ticket.${ticket}`);
    return brought.length ? [SUBPROTOCOL, ...brought] : [];
  }

  #tokenFor(origin) {
    return origin === this.#origin ? this.#token : this.#given.get(origin);
  }
}

/** @param {string} text @returns {string | null} what stands behind `#token=` */
function tokenIn(text) {
  const hash = text.indexOf("#");
  return hash < 0 ? null : new URLSearchParams(text.slice(hash + 1)).get("token");
}

/** Asks for a token. Given a form with one field. */
export class SignIn {
  #form;
  #field;

  /** @param {HTMLFormElement} form @param {(token: string) => void} onToken */
  constructor(form, onToken) {
    this.#form = form;
    this.#field = form.querySelector("input");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onToken(this.#field.value);
      this.#field.value = "";
    });
    // The page's own keys (R, H, C, F) are letters here.
    form.addEventListener("keydown", (event) => event.stopPropagation());
  }

  /** @param {boolean} wanted */
  show(wanted) {
    const appears = wanted && this.#form.hidden;
    this.#form.hidden = !wanted;
    if (appears) this.#field.focus({ preventScroll: true });
  }
}

/** The browser's storage of this tab, or null where it is switched off. */
export function tabStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

/** The page's own; there is one server, and one token for it. */
export const access = new Access(globalThis.location?.origin ?? "", tabStorage());
