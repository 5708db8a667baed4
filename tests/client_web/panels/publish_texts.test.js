import assert from "node:assert/strict";
import { test } from "node:test";

import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { describeCallTrouble } from "../../../client_web/js/panels/call_texts.js";
import {
  describeCameraTrouble,
  describeMicrophoneTrouble,
  describePublishTrouble,
  describeRefusedFrame,
  describeStartTrouble,
  describeTrackerTrouble,
  describeVoiceTrouble,
} from "../../../client_web/js/panels/publish_texts.js";

const error = (name, message = "") => new DOMException(message, name);

test("browsers that name the same fault differently get the same words", () => {
  for (const describe of [describeCameraTrouble, describeMicrophoneTrouble]) {
    for (const [name, same] of [
      ["AbortError", "NotReadableError"],
      ["OverconstrainedError", "NotFoundError"],
      ["SecurityError", "NotAllowedError"],
    ]) {
      assert.deepEqual(describe(error(name, "Starting videoinput failed")), describe(error(same)));
    }
  }
});

test("a device that the operating system denies is told from one that the browser denies", () => {
  const bySystem = error("NotAllowedError", "Permission denied by system");
  const byBrowser = error("NotAllowedError", "Permission denied");
  for (const describe of [describeCameraTrouble, describeMicrophoneTrouble]) {
    assert.equal(describe(bySystem).title, describe(byBrowser).title);
    assert.match(describe(bySystem).detail, /privacy settings of your computer/);
    assert.doesNotMatch(describe(byBrowser).detail, /computer/);
  }
});

test("an unknown error of a device is told as a sentence", () => {
  const { detail } = describeCameraTrouble(error("OtherError", "the lens is covered"));
  assert.equal(detail, "The lens is covered.");
  assert.equal(describeCameraTrouble(error("OtherError")).detail, "");
  const own = describeMicrophoneTrouble(error("OtherError"));
  assert.equal(own.detail, "Your face is sent without your voice.");
});

test("the server's own words are sentences everywhere", () => {
  const facts = { status: 403, detail: "expected a token with scope publish, got one with view" };
  const sentence = "Expected a token with scope publish, got one with view.";
  assert.equal(describePublishTrouble(new Trouble("sign-in", facts)).detail, sentence);
  assert.equal(describePublishTrouble(new Trouble("refused", facts)).detail, sentence);
  assert.equal(describeCallTrouble(new Trouble("sign-in", facts), "us").detail, sentence);
  const voice = describeVoiceTrouble(new Trouble("refused", facts)).detail;
  assert.equal(voice, `The server answers: ${sentence}`);
});

test("a server that does not answer is tried again while live, by the user before that", () => {
  for (const kind of ["unreachable", "lost"]) {
    assert.equal(describePublishTrouble(new Trouble(kind)).detail, "Trying again.");
    assert.match(describeStartTrouble(new Trouble(kind)).detail, /press Go live again/);
  }
});

test("a tracker that has stopped says what to do, and what the browser reports", () => {
  assert.equal(
    describeTrackerTrouble({ kind: "failed", detail: "out of memory" }).detail,
    "Reload this page to start it again. The browser reports: Out of memory.",
  );
  assert.equal(
    describeTrackerTrouble({ kind: "failed", detail: "" }).detail,
    "Reload this page to start it again.",
  );
});

test("the server's words about a refused frame are a sentence", () => {
  const { title, detail } = describeRefusedFrame("expected 52 coefficients, got 51");
  assert.match(title, /frame of your face/);
  assert.equal(detail, "Expected 52 coefficients, got 51.");
});
