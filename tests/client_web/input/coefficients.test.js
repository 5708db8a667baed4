import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ARKIT_NAMES,
  groupCoefficients,
  labelOf,
  partnerOf,
} from "../../../client_web/js/input/coefficients.js";

test("every one of the 52 coefficients is in one group", () => {
  const groups = groupCoefficients(ARKIT_NAMES);
  const names = groups.flatMap(({ controls }) => controls.map(({ name }) => name));
  assert.equal(ARKIT_NAMES.length, 52);
  assert.deepEqual([...names].sort(), [...ARKIT_NAMES].sort());
  assert.deepEqual(
    groups.map(({ title }) => title),
    ["Brow", "Eyes", "Jaw and tongue", "Mouth", "Cheeks and nose"],
  );
});

test("coefficients have readable labels", () => {
  assert.equal(labelOf("mouthSmileLeft"), "Smile");
  assert.equal(labelOf("jawOpen"), "Open");
  assert.equal(labelOf("jawLeft"), "Shift left");
  assert.equal(labelOf("eyeBlinkRight"), "Blink");
  assert.equal(labelOf("browOuterUpLeft"), "Raise outer");
});

test("no two sliders of a group have the same name and side when sides are unlinked", () => {
  for (const { title, controls } of groupCoefficients(ARKIT_NAMES)) {
    const shown = controls.map(({ label, side }) => `${label} ${side}`);
    assert.equal(new Set(shown).size, shown.length, `${title}: ${shown}`);
  }
});

test("left is linked with right, and a gaze to one side turns one eye in and one out", () => {
  assert.equal(partnerOf("mouthSmileLeft"), "mouthSmileRight");
  assert.equal(partnerOf("eyeLookInLeft"), "eyeLookOutRight");
  assert.equal(partnerOf("eyeLookUpRight"), "eyeLookUpLeft");
  for (const name of ARKIT_NAMES) {
    const partner = partnerOf(name);
    if (partner) assert.equal(partnerOf(partner), name);
  }
});

test("opposite directions of one movement are never linked", () => {
  for (const name of ["jawLeft", "jawRight", "mouthLeft", "mouthRight", "jawOpen", "browInnerUp"]) {
    assert.equal(partnerOf(name), null, name);
  }
});

test("linked coefficients are neighbours in the list", () => {
  for (const { controls } of groupCoefficients(ARKIT_NAMES)) {
    controls.forEach(({ name, partner }, i) => {
      if (partner)
        assert.ok([controls[i - 1]?.name, controls[i + 1]?.name].includes(partner), name);
    });
  }
});

test("all coefficients of an avatar with other names have sliders", () => {
  const groups = groupCoefficients(["jawOpen", "exp_00", "exp_01", "smileLeft"]);
  assert.deepEqual(
    groups.map(({ title, controls }) => [title, controls.map(({ label }) => label)]),
    [
      ["Jaw and tongue", ["Open"]],
      ["Other", ["Exp 00", "Exp 01", "Smile left"]],
    ],
  );
});

test("a coefficient without its counterpart is linked to nothing", () => {
  const [{ controls }] = groupCoefficients(["mouthSmileLeft"]);
  assert.equal(controls[0].partner, null);
  assert.equal(controls[0].label, "Smile left");
});
