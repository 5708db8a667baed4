// Creates what shows the state of the page: the notice, the sign-in form, and the draining text.

import { access } from "../connection/access.js";
import { find } from "../panels/dom.js";
import { Notice } from "../panels/notice.js";
import { SignIn } from "../panels/sign_in.js";

/**
 * Return the elements that show the page's state.
 *
 * @param {Document} page
 * @param {import("../panels/texts.js").Source} source
 * @param {() => void} onRetry also called once a token was entered
 * @returns {import("./page_state.js").StateView}
 */
export function stateView(page, source, onRetry) {
  return {
    body: page.body,
    draining: find(page, "#ending"),
    notice: new Notice(find(page, "#notice"), source, onRetry),
    signIn: new SignIn(find(page, "#sign-in"), (token) => {
      access.use(token);
      onRetry();
    }),
  };
}
