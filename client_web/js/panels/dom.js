// Access to the elements of the page.

/**
 * Return the element that matches a selector.
 *
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {T}
 * @throws {Error} if there is none
 */
export function find(root, selector) {
  const element = root.querySelector(selector);
  if (!element) throw new Error(`expected an element that matches ${selector}, got none`);
  return /** @type {T} */ (element);
}
