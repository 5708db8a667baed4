// Texts of the panels when the server requires another token.

import { sentence } from "./sentence.js";

/**
 * Describe that a token is needed.
 *
 * @param {string} detail the server's own words; "" where there is no token yet
 * @param {string} need which token to enter, and what for
 * @param {string} options of the command that makes it
 * @returns {{title: string, detail: string, command: string}} `command`: makes such a token
 */
export function describeSignIn(detail, need, options) {
  return {
    title: detail ? "This token does not allow it" : "This server needs a token",
    detail: sentence(detail) || need,
    command: `.venv/bin/python scripts/make_token.py ${options}`,
  };
}
