import assert from "node:assert/strict";
import { test } from "node:test";

import { ARKIT_NAMES } from "../../../client_web/js/input/coefficients.js";
import { mirroredName, OPPOSITES } from "../../../client_web/js/tracking/arkit.js";
import { Calibration } from "../../../client_web/js/tracking/calibration.js";
import { FaceDriver } from "../../../client_web/js/tracking/face_driver.js";
import { face, near } from "./faces.js";

const FRAME_MS = 1000 / 30;

/** A driver without mirror, and a function that feeds it frames of 30 per second. */
function driving() {
  const driver = new FaceDriver();
  driver.mirrored = false;
  let at_ms = 0;
  const feed = (seen, frames = 1) => {
    let pose = null;
    for (let i = 0; i < frames; i++) {
      at_ms += FRAME_MS;
      pose = driver.next(seen, at_ms);
    }
    return pose;
  };
  return { driver, feed };
}

test("mirroring swaps every ARKit name with its counterpart", () => {
  for (const name of ARKIT_NAMES) {
    assert.ok(ARKIT_NAMES.includes(mirroredName(name)), name);
    assert.equal(mirroredName(mirroredName(name)), name);
  }
  assert.equal(mirroredName("eyeLookInLeft"), "eyeLookInRight");
  assert.equal(mirroredName("jawLeft"), "jawRight");
  assert.equal(mirroredName("jawOpen"), "jawOpen");
  for (const name of OPPOSITES.flat()) assert.ok(ARKIT_NAMES.includes(name), name);
});

test("without a calibration the coefficients are those of the tracker, without noise, and closed eyes are closed", () => {
  const calibration = new Calibration();
  const relative = calibration.relative({ jawOpen: 0.5, eyeBlinkLeft: 0.009, mouthFunnel: 1 });
  assert.ok(Math.abs(relative.jawOpen - 0.49 / 0.99) < 1e-9);
  assert.equal(calibration.relative({ eyeBlinkLeft: 0.005 }).eyeBlinkLeft, 0);
  assert.equal(calibration.relative({ eyeBlinkLeft: 0.65 }).eyeBlinkLeft, 1);
  assert.equal(relative.mouthFunnel, 1);
});

test("calibrating makes the current face neutral and keeps the full range", () => {
  const { driver, feed } = driving();
  const rest = face({ eyeBlinkLeft: 0.3, jawOpen: 0.1 }, { yaw: 0.2, pitch: -0.1 });
  assert.ok(feed(rest).expression.eyeBlinkLeft > 0.4);
  driver.calibration.begin();
  assert.ok(driver.calibration.measuring);
  feed(rest, 11);
  assert.ok(driver.calibration.measuring);
  feed(rest);
  assert.ok(!driver.calibration.measuring && driver.calibration.measured);
  const neutral = feed(rest, 30);
  assert.ok(neutral.expression.eyeBlinkLeft < 0.01 && neutral.expression.jawOpen < 0.01);
  near(neutral.head.rotation, [0, 0, 0, 1], 1e-3);
  near(neutral.head.translation, [0, 0, 0], 1e-4);
  const closed = feed(face({ eyeBlinkLeft: 0.64, jawOpen: 0.55 }, { yaw: 0.2, pitch: -0.1 }), 30);
  assert.ok(closed.expression.eyeBlinkLeft > 0.99);
  assert.ok(Math.abs(closed.expression.jawOpen - 0.5) < 0.01);
});

test("gaze is calibrated as a direction: looking up from a neutral gaze down is up", () => {
  const { driver, feed } = driving();
  const down = face({
    eyeLookDownLeft: 0.4,
    eyeLookUpLeft: 0,
    eyeLookInLeft: 0.1,
    eyeLookOutLeft: 0,
  });
  driver.calibration.begin();
  feed(down, 12);
  const ahead = face({
    eyeLookDownLeft: 0.1,
    eyeLookUpLeft: 0,
    eyeLookInLeft: 0,
    eyeLookOutLeft: 0.2,
  });
  const { expression } = feed(ahead, 30);
  assert.ok(Math.abs(expression.eyeLookUpLeft - 0.3) < 0.02, String(expression.eyeLookUpLeft));
  assert.equal(expression.eyeLookDownLeft < 0.001, true);
  assert.ok(Math.abs(expression.eyeLookOutLeft - 0.3) < 0.02);
});

test("the first pose of the head is its resting pose until calibration", () => {
  const { driver, feed } = driving();
  near(feed(face({}, { at_cm: [10, 5, -70] })).head.translation, [0, 0, 0], 1e-9);
  const moved = feed(face({}, { at_cm: [11, 5, -70] }), 60);
  near(moved.head.translation, [0.0098, 0, 0], 3e-4);
  driver.calibration.clear();
  near(feed(face({}, { at_cm: [11, 5, -70] }), 60).head.translation, [0, 0, 0], 1e-4);
});

test("mirrored, the avatar moves like the person's image in a mirror", () => {
  const { driver, feed } = driving();
  const seen = face(
    { eyeBlinkLeft: 0.5, eyeBlinkRight: 0.1, mouthLeft: 0.5, mouthRight: 0 },
    { yaw: 0.3 },
  );
  const true_ = feed(seen);
  driver.mirrored = true;
  const mirrored = feed(seen);
  assert.ok(Math.abs(mirrored.expression.eyeBlinkRight - true_.expression.eyeBlinkLeft) < 1e-6);
  assert.ok(Math.abs(mirrored.expression.mouthRight - true_.expression.mouthLeft) < 1e-6);
  const [x, y, z, w] = true_.head.rotation;
  near(mirrored.head.rotation, [x, -y, -z, w]);
});

test("a lost face is held, eases to rest, and is then no longer sent", () => {
  const { driver, feed } = driving();
  assert.equal(feed(null), null); // no face was tracked yet
  const seen = face({ jawOpen: 0.6 }, { yaw: 0.3 });
  const last = feed(seen, 10);
  const held = feed(null, 10); // 333 ms
  assert.ok(driver.lost);
  assert.deepEqual(held, last);
  const fading = feed(null, 15); // 833 ms
  assert.ok(fading.expression.jawOpen < 0.45 && fading.expression.jawOpen > 0.15);
  assert.ok(fading.head.rotation[1] > 0 && fading.head.rotation[1] < last.head.rotation[1]);
  const gone = feed(null, 17); // 1.4 s
  assert.equal(gone, null);
  assert.equal(feed(null, 100), null);
});

test("a face that is found while easing to rest is eased in", () => {
  const { driver, feed } = driving();
  const seen = face({ jawOpen: 0.8 });
  feed(seen, 10);
  const fading = feed(null, 28);
  const first = feed(seen);
  assert.ok(!driver.lost);
  assert.ok(Math.abs(first.expression.jawOpen - fading.expression.jawOpen) < 0.1);
  assert.ok(Math.abs(feed(seen, 10).expression.jawOpen - 0.79 / 0.99) < 0.01);
});

test("a face that is found after a long time starts without easing", () => {
  const { feed } = driving();
  feed(face({ jawOpen: 0.8 }), 10);
  feed(null, 90);
  assert.ok(Math.abs(feed(face({ jawOpen: 0.2 })).expression.jawOpen - 0.19 / 0.99) < 0.01);
});
