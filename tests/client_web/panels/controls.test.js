import assert from "node:assert/strict";
import { test } from "node:test";

import { Face } from "../../../client_web/js/input/face.js";
import { Controls, rowLabel } from "../../../client_web/js/panels/controls.js";
import { FakeDocument, FakeElement } from "../fakes.js";

const NAMES = ["mouthSmileLeft", "mouthSmileRight", "jawOpen"];

function controlsOf() {
  const element = new FakeElement(new FakeDocument());
  const linked = element.querySelector("[data-linked]");
  linked.checked = true;
  const face = new Face(0);
  let changes = 0;
  const controls = new Controls(element, face, () => changes++);
  controls.setNames(NAMES);
  const groups = element.querySelector("[data-groups]").children;
  const rows = groups.flatMap((group) => group.children.slice(1));
  const row = (name) => rows.find(({ children }) => children[1].dataset.coefficient === name);
  const move = (name, value) => {
    const [, input] = row(name).children;
    input.value = String(value);
    input.dispatchEvent(new Event("input"));
  };
  const presets = element.querySelector("[data-presets]").children;
  return { element, face, controls, linked, row, move, presets, changes: () => changes };
}

test("a linked slider moves both sides, and the other side's is hidden", () => {
  const { face, row, move, changes, linked } = controlsOf();
  assert.equal(row("mouthSmileRight").hidden, true);
  move("mouthSmileLeft", 0.5);
  assert.deepEqual(face.goal, { mouthSmileLeft: 0.5, mouthSmileRight: 0.5 });
  assert.equal(row("mouthSmileRight").children[1].value, "0.5");
  assert.equal(changes(), 1);
  linked.checked = false;
  linked.dispatchEvent(new Event("change"));
  assert.equal(row("mouthSmileRight").hidden, false);
  move("mouthSmileRight", 0.2);
  assert.deepEqual(face.goal, { mouthSmileLeft: 0.5, mouthSmileRight: 0.2 });
});

test("a preset sets the avatar's coefficients, moves the sliders and is marked", () => {
  const { face, presets, row, move } = controlsOf();
  const surprise = presets.find(({ textContent }) => textContent === "Surprise");
  surprise.click();
  assert.deepEqual(face.goal, { jawOpen: 0.5 });
  assert.equal(row("jawOpen").children[2].value, ".50");
  assert.equal(surprise.getAttribute("aria-pressed"), "true");
  move("jawOpen", 0);
  assert.equal(surprise.getAttribute("aria-pressed"), "false");
  assert.equal(row("jawOpen").children[2].value, "0");
});

test("labels name the side only where sides are not linked", () => {
  const smile = {
    label: "Smile",
    side: "left",
    partner: "mouthSmileRight",
    name: "mouthSmileLeft",
  };
  assert.equal(rowLabel(smile, true), "Smile");
  assert.equal(rowLabel(smile, false), "Smile, left");
  assert.equal(rowLabel({ ...smile, partner: null }, false), "Smile");
  assert.equal(rowLabel({ ...smile, name: "eyeLookInLeft" }, false), "Smile, left eye");
});
