import assert from "node:assert/strict";
import { test } from "node:test";

import { ARKIT_NAMES } from "../../../client_web/js/input/coefficients.js";
import { blend, blink, PERFORMANCES, PRESETS, talk } from "../../../client_web/js/input/presets.js";

function assertValid(expression, what) {
  for (const [name, value] of Object.entries(expression)) {
    assert.ok(ARKIT_NAMES.includes(name), `${what}: ${name}`);
    assert.ok(value >= 0 && value <= 1, `${what}: ${name} = ${value}`);
  }
}

test("every preset is a face that the server accepts", () => {
  for (const [name, expression] of Object.entries(PRESETS)) assertValid(expression, name);
});

test("every frame of every performance is a face that the server accepts", () => {
  for (const [name, performance] of Object.entries(PERFORMANCES)) {
    for (let t = 0; t < 10; t += 0.03) assertValid(performance(t), `${name} at ${t}`);
  }
});

test("talking moves the jaw without jumps, and pauses", () => {
  const jaw = (t) => talk(t).jawOpen ?? 0;
  const times = Array.from({ length: 1000 }, (_, i) => i * 0.01);
  assert.ok(Math.max(...times.map(jaw)) > 0.3);
  assert.ok(Math.max(...times.map((t) => Math.abs(jaw(t + 0.01) - jaw(t)))) < 0.1);
  assert.equal(jaw(3.7), 0);
});

test("blinks close the lids for an instant every few seconds", () => {
  const closed = Array.from({ length: 3000 }, (_, i) => blink(i * 0.01));
  const share = closed.filter((value) => value > 0.5).length / closed.length;
  assert.ok(Math.max(...closed) > 0.95);
  assert.ok(share > 0.01 && share < 0.1, String(share));
});

test("a blend interpolates between two faces", () => {
  assert.deepEqual(blend({ jawOpen: 1 }, { cheekPuff: 0.5 }, 0), { jawOpen: 1, cheekPuff: 0 });
  assert.deepEqual(blend({ jawOpen: 1 }, { cheekPuff: 0.5 }, 1), { jawOpen: 0, cheekPuff: 0.5 });
});
