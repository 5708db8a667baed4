// The tile of a participant of a call.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CallTilePanel } from "../../../client_web/js/panels/call_tile_panel.js";
import { FakeDocument } from "../fakes.js";

const ADA = { name: "Ada", muted: false, present: true };

/** A tile, its note and its classes. */
function tile() {
  const panel = new CallTilePanel(new FakeDocument());
  const [, note] = panel.element.children;
  return { panel, note, classes: panel.element.classes };
}

test("a tile has the name and the muted state as its label", () => {
  const { panel, classes } = tile();
  panel.show(ADA);
  assert.equal(panel.element.getAttribute("aria-label"), "Ada");
  panel.show({ ...ADA, muted: true });
  assert.equal(panel.element.getAttribute("aria-label"), "Ada, muted");
  assert.ok(classes.has("muted"));
});

test("the border marks a voice, also in pauses between syllables", () => {
  const { panel, classes } = tile();
  panel.showLevel(0.2, 0); // a quiet room
  assert.ok(!classes.has("speaking"));
  panel.showLevel(0.6, 100);
  panel.showLevel(0, 400);
  assert.ok(classes.has("speaking"));
  panel.showLevel(0, 600);
  assert.ok(!classes.has("speaking"));
});

test("the reason of a missing face is shown, a lost connection first", () => {
  const { panel, note, classes } = tile();
  panel.showConnection({ state: "connecting" }, null);
  panel.show(ADA);
  assert.equal(note.textContent, "Connecting…");
  panel.showConnection({ state: "queued", queue: { place: 2 } }, null);
  assert.equal(note.textContent, "You are number 2 in the queue");
  panel.show({ ...ADA, present: false });
  assert.equal(note.textContent, "Reconnecting…");
  assert.ok(classes.has("away"));
  panel.showConnection({ state: "live" }, null);
  panel.show(ADA);
  assert.equal(note.textContent, "");
});
