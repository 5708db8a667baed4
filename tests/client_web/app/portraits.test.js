// The avatars to choose from, and their portraits.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Portraits } from "../../../client_web/js/app/portraits.js";
import { AvatarCards } from "../../../client_web/js/panels/avatar_cards.js";
import { FakeDocument, FakeElement } from "../fakes.js";

beforeEach(() => mock.method(URL, "createObjectURL", (blob) => `blob:${blob}`));
afterEach(() => mock.restoreAll());

/** Portraits whose rendering the test ends, avatar by avatar. */
function portraits() {
  const shown = [];
  const rendering = new Map();
  const stage = Object.assign(new FakeElement(), { hidden: true, src: "" });
  const streams = {
    portrait: (id) => new Promise((resolve, reject) => rendering.set(id, { resolve, reject })),
  };
  const cards = { showPortrait: (...portrait) => shown.push(portrait) };
  const all = new Portraits(streams, cards, stage);
  const end = async (id, how = "resolve") => {
    rendering.get(id)[how](id);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { all, shown, stage, rendering, end };
}

test("the chosen avatar is rendered first, and one after another", async () => {
  const { all, shown, stage, rendering, end } = portraits();
  void all.load(["ada", "ben", "eve"], "ben");
  assert.deepEqual([...rendering.keys()], ["ben"]);
  await end("ben");
  assert.deepEqual([stage.hidden, stage.src], [false, "blob:ben"]);
  await end("ada");
  await end("eve");
  assert.deepEqual(
    shown.map(([id]) => id),
    ["ben", "ada", "eve"],
  );
  assert.equal(stage.src, "blob:ben", "the others appear on their cards alone");
});

test("an avatar that is chosen before its portrait is there appears with it", async () => {
  const { all, stage, end } = portraits();
  void all.load(["ada", "ben"], "ada");
  all.choose("ben");
  assert.equal(stage.hidden, true);
  await end("ada");
  assert.equal(stage.hidden, true);
  await end("ben");
  assert.deepEqual([stage.hidden, stage.src], [false, "blob:ben"]);
});

test("an avatar that cannot be rendered has no portrait, and the next one is rendered", async () => {
  const { all, shown, stage, end } = portraits();
  void all.load(["ada", "ben"], "ada");
  await end("ada", "reject");
  await end("ben");
  assert.deepEqual(shown, [["ben", "blob:ben"]]);
  assert.equal(stage.hidden, true);
});

test("cards offer every avatar by name, the chosen one checked", () => {
  const element = new FakeElement(new FakeDocument());
  const chosen = [];
  const cards = new AvatarCards(element, (id) => chosen.push(id));
  const avatars = [
    { id: "default", name: "Ada" },
    { id: "ben", name: "Ben" },
  ];
  cards.show(avatars, "ben");
  const labels = element.querySelector("[data-avatars]").children;
  const parts = labels.map(({ children: [input, image, text] }) => [
    ...[input.type, input.name, input.value, input.checked],
    ...[image.dataset.portrait, text.textContent],
  ]);
  assert.deepEqual(parts, [
    ["radio", "avatar", "default", false, "default", "Ada"],
    ["radio", "avatar", "ben", true, "ben", "Ben"],
  ]);
  labels[0].children[0].dispatchEvent(new Event("change"));
  assert.deepEqual(chosen, ["default"]);
});

test("a portrait appears on the card of its avatar", () => {
  const element = new FakeElement(new FakeDocument());
  const images = ["default", "ben"].map((portrait) => ({ dataset: { portrait }, src: "" }));
  element.querySelectorAll = () => images;
  new AvatarCards(element, () => {}).showPortrait("ben", "blob:ben");
  assert.deepEqual(
    images.map(({ src }) => src),
    ["", "blob:ben"],
  );
});
