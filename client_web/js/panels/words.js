// Messages about the state, or about what is missing.

import { find } from "./dom.js";

/**
 * Show words, with a command that helps.
 *
 * @param {ParentNode} root contains `[data-words]`
 * @param {import("./publish_texts.js").PublishText | null} words null for nothing
 */
export function showWords(root, words) {
  const { title = "", detail = "", command = "" } = words ?? {};
  find(root, "[data-words]").hidden = !words;
  write(find(root, "[data-words-title]"), title);
  write(find(root, "[data-words-detail]"), detail);
  const code = find(root, "[data-words-command]");
  write(code, command);
  code.hidden = !command;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text; // announced when it changes
}
