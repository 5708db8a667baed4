// Makes sentences of the server's words, which begin small and end without a full stop.

/**
 * @param {string} words
 * @returns {string} "" for none
 */
export function sentence(words) {
  const text = words.trim();
  return text && text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
