// What assistive technology needs of the pages, as far as their files show it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const PAGES = ["index.html", "call.html"];
const VOID = new Set(["input", "img", "meta", "link"]);
const NAMED = new Set(["button", "input", "select", "textarea", "a"]);

/**
 * @typedef {{name: string, attributes: Map<string, string>, parents: Element[], children: Element[],
 *   text: string}} Element
 */

/**
 * Parse a page whose elements are all closed, as those here are.
 *
 * @param {string} file
 * @returns {Element[]} in the order of the file
 */
function elementsOf(file) {
  const html = readFileSync(new URL(`../../client_web/${file}`, import.meta.url), "utf8");
  /** @type {Element[]} */
  const elements = [];
  /** @type {Element[]} */
  const open = [];
  for (const [, close, name, inside, text] of html.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*)?)>([^<]*)/g,
  )) {
    if (close) assert.equal(open.pop()?.name, name, `${file}: </${name}>`);
    else {
      const pairs = [...inside.matchAll(/([a-z-]+)(?:="([^"]*)")?/g)];
      const attributes = new Map(pairs.map(([, key, value]) => [key, value ?? ""]));
      /** @type {Element} */
      const element = { name, attributes, parents: [...open], children: [], text: "" };
      open.at(-1)?.children.push(element);
      elements.push(element);
      if (!VOID.has(name) && !inside.endsWith("/")) open.push(element);
    }
    for (const element of open) element.text += text;
  }
  assert.deepEqual(open, [], `${file}: everything is closed`);
  return elements;
}

/** @param {Element} label @returns {boolean} whether it has text, now or from the page's script */
function isNamed({ text, children }) {
  return text.trim() !== "" || children.some(({ attributes }) => attributes.has("data-consent"));
}

for (const file of PAGES) {
  const elements = elementsOf(file);

  test(`${file}: whatever can be operated has a name`, () => {
    const nameless = elements.filter(
      ({ name, attributes, parents, text }) =>
        NAMED.has(name) &&
        !attributes.get("aria-label") &&
        !text.trim() &&
        !parents.some((parent) => parent.name === "label" && isNamed(parent)),
    );
    assert.deepEqual(
      nameless.map(({ name, attributes }) => [name, ...attributes]),
      [],
    );
  });

  test(`${file}: names of elements are unique, and what refers to one finds it`, () => {
    const ids = elements.flatMap(({ attributes }) => attributes.get("id") ?? []);
    assert.equal(new Set(ids).size, ids.length);
    for (const { attributes } of elements) {
      for (const key of ["aria-controls", "aria-describedby", "aria-labelledby", "for"]) {
        const id = attributes.get(key);
        assert.ok(id === undefined || ids.includes(id), `${key}="${id}"`);
      }
    }
  });

  test(`${file}: has one main part, and lists of terms hold nothing else`, () => {
    const mains = elements.filter(({ name }) => name === "main");
    assert.deepEqual(
      mains.map(({ attributes }) => attributes.has("role")),
      [false],
    );
    for (const { children } of elements.filter(({ name }) => name === "dl")) {
      for (const { name } of children) assert.equal(name, "div");
    }
  });

  test(`${file}: the text of a label that is a column is one element`, () => {
    for (const { name, children, text } of elements) {
      if (name !== "label" || !children.some(({ name }) => name === "q")) continue;
      assert.fail(`“${text.trim()}” is broken at its quotation marks`);
    }
  });
}
