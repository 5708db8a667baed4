import assert from "node:assert/strict";
import { test } from "node:test";

import { LipSync } from "../../../client_web/js/voice/lip_sync.js";

/** A browser that plays the voice with its own delay, and applies the requested hold. */
class Browser {
  sync = new LipSync();
  held_ms = 40;
  now_ms = 0;
  holds = [];

  /** Advance time. `face` and `voice`: paths in ms, without the delay of the browser's buffer. */
  pass(seconds, face, voice) {
    const until_ms = this.now_ms + seconds * 1000;
    for (; this.now_ms < until_ms; this.now_ms += 33) {
      this.sync.faceShown(face, this.now_ms);
      this.sync.voicePlayed(voice + this.held_ms, this.now_ms);
      const hold_ms = this.sync.hold(this.held_ms, this.now_ms);
      if (hold_ms === null) continue;
      this.holds.push(hold_ms);
      this.held_ms = Math.max(25, hold_ms); // never less than the network's jitter needs
    }
  }
}

test("an early voice is delayed until it matches the lips", () => {
  const browser = new Browser();
  browser.pass(12, 180, 60);
  assert.deepEqual(browser.holds, [120]);
  browser.pass(12, 180, 60);
  const { p50, p95, count } = browser.sync.offset(browser.now_ms);
  assert.deepEqual([p50, p95], [0, 0]);
  assert.ok(count > 100);
});

test("a voice that becomes late is delayed less", () => {
  const browser = new Browser();
  browser.pass(6, 180, 60);
  browser.pass(14, 130, 60);
  assert.equal(browser.held_ms, 70);
});

test("a late voice is played as early as the browser can, and its lateness is measured", () => {
  const browser = new Browser();
  browser.pass(20, 60, 80);
  assert.equal(browser.held_ms, 25);
  assert.equal(browser.sync.offset(browser.now_ms).p50, 45);
});

test("small differences do not stretch the sound", () => {
  const browser = new Browser();
  browser.pass(10, 100, 64);
  assert.deepEqual(browser.holds, []);
  assert.equal(browser.sync.offset(browser.now_ms).p50, 4);
});

test("without a face nothing is measured or changed", () => {
  const sync = new LipSync();
  for (let now_ms = 0; now_ms < 5000; now_ms += 100) sync.voicePlayed(100, now_ms);
  assert.equal(sync.hold(40, 5000), null);
  assert.deepEqual(sync.offset(5000), { p50: null, p95: null, count: 0 });
});

test("another session resets the measurement", () => {
  const browser = new Browser();
  browser.pass(4, 180, 60);
  browser.sync.clear();
  assert.equal(browser.sync.offset(browser.now_ms).count, 0);
});
