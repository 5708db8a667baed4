import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../../client_web/js/connection/backoff.js";

test("delays double up to the maximum", () => {
  const backoff = new Backoff({ first_s: 0.5, longest_s: 3, random: () => 0 });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => backoff.next()),
    [0.5, 1, 2, 3, 3],
  );
});

test("delays vary by up to a quarter", () => {
  const backoff = new Backoff({ first_s: 4, longest_s: 8, random: () => 0.999 });
  const wait_s = backoff.next();
  assert.ok(wait_s > 4.9 && wait_s < 5, String(wait_s));
});

test("a success resets the delay", () => {
  const backoff = new Backoff({ random: () => 0 });
  backoff.next();
  backoff.next();
  backoff.reset();
  assert.equal(backoff.next(), 0.5);
});
