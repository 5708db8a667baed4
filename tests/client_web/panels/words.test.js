// What all panels say about a state, in the same form.

import assert from "node:assert/strict";
import { test } from "node:test";

import { sentence } from "../../../client_web/js/panels/sentence.js";
import { describeSignIn } from "../../../client_web/js/panels/sign_in_text.js";
import { describeSensorTrouble } from "../../../client_web/js/panels/tilt_texts.js";
import { showWords } from "../../../client_web/js/panels/words.js";
import { FakeElement } from "../fakes.js";

test("words of the server become a sentence", () => {
  assert.equal(sentence("the stream is full"), "The stream is full.");
  assert.equal(sentence(" Is it full? "), "Is it full?");
  assert.equal(sentence(""), "");
});

test("without a token the page says which one it needs, with a bad one why it was refused", () => {
  const need = "Enter a token.";
  const first = describeSignIn("", need, "--scope view");
  assert.deepEqual([first.title, first.detail], ["This server needs a token", need]);
  assert.equal(first.command, ".venv/bin/python scripts/make_token.py --scope view");
  const second = describeSignIn("the token has expired", need, "--scope view");
  assert.equal(second.title, "This token does not allow it");
  assert.equal(second.detail, "The token has expired.");
});

test("each reason why a phone's sensors are silent has words", () => {
  for (const [kind, title] of [
    ["insecure", /secure address/],
    ["denied", /blocked/],
    ["silent", /does not report/],
  ]) {
    assert.match(describeSensorTrouble({ kind }).title, title);
  }
});

/** A panel's place for words. */
function panel() {
  const root = new FakeElement();
  const part = (name) => root.querySelector(`[data-words${name}]`);
  return {
    root,
    all: part(""),
    title: part("-title"),
    detail: part("-detail"),
    command: part("-command"),
  };
}

test("words appear with a command that helps, and disappear", () => {
  const { root, all, title, detail, command } = panel();
  showWords(root, { title: "No camera", detail: "Connect one.", command: "make camera" });
  assert.deepEqual([all.hidden, command.hidden], [false, false]);
  assert.deepEqual(
    [title, detail, command].map(({ textContent }) => textContent),
    ["No camera", "Connect one.", "make camera"],
  );
  showWords(root, { title: "No camera", detail: "Connect one." });
  assert.deepEqual([all.hidden, command.hidden, command.textContent], [false, true, ""]);
  showWords(root, null);
  assert.deepEqual([all.hidden, title.textContent], [true, ""]);
});

test("words that stay are not written again, because screen readers would repeat them", () => {
  const { root, title } = panel();
  let written = 0;
  let text = "";
  Object.defineProperty(title, "textContent", {
    get: () => text,
    set: (words) => {
      text = words;
      written += 1;
    },
  });
  for (let i = 0; i < 3; i++) showWords(root, { title: "No camera", detail: "" });
  assert.equal(written, 1);
});
