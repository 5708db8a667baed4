import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { Notice } from "../../../client_web/js/panels/notice.js";
import { SignIn } from "../../../client_web/js/panels/sign_in.js";
import { FakeElement } from "../fakes.js";

function noticeOf() {
  const element = new FakeElement();
  let retries = 0;
  const notice = new Notice(element, { stream: "demo", host: "h" }, () => retries++);
  const [title, detail, countdown, button] = [
    ...["[data-title]", "[data-detail]", "[data-countdown]", "button"],
  ].map((selector) => element.querySelector(selector));
  return { notice, element, title, detail, countdown, button, retries: () => retries };
}

test("a fast connection shows no message, a slow one does", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { notice, element, title } = noticeOf();
  notice.show({ state: "connecting" }, null);
  mock.timers.tick(499);
  assert.ok(!element.classes.has("shown"));
  mock.timers.tick(1);
  assert.ok(element.classes.has("shown"));
  assert.equal(title.textContent, "Connecting");
  notice.show({ state: "live" }, null);
  assert.deepEqual([element.classes.has("shown"), element.inert], [false, true]);
  mock.timers.reset();
});

test("the message of the last trouble stays during retries", () => {
  const { notice, title, countdown, button } = noticeOf();
  const trouble = new Trouble("sign-in");
  notice.show({ state: "waiting", trouble, until_ms: null }, trouble);
  assert.deepEqual([title.textContent, button.hidden], ["Sign in to watch", true]);
  notice.show({ state: "connecting" }, trouble);
  assert.equal(title.textContent, "Sign in to watch");
  assert.equal(countdown.textContent, "Trying again now…");
});

test("the delay before the next attempt is counted down and can be skipped", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { notice, countdown, button, retries } = noticeOf();
  const trouble = new Trouble("unreachable");
  notice.show({ state: "waiting", trouble, until_ms: performance.now() + 4500 }, trouble);
  assert.equal(countdown.textContent, "Trying again in 5 seconds");
  button.click();
  assert.equal(retries(), 1);
  notice.show({ state: "live" }, null);
  mock.timers.tick(1000);
  assert.equal(countdown.textContent, "");
  mock.timers.reset();
});

test("a queued viewer sees its position, and how many wait", () => {
  const { notice, title, countdown, button } = noticeOf();
  notice.show({ state: "queued", queue: { place: 2, waiting: 3 } }, null);
  assert.equal(title.textContent, "You are number 2 in the queue");
  assert.equal(countdown.textContent, "3 viewers are waiting");
  assert.equal(button.hidden, true);
  notice.show({ state: "queued", queue: { place: 1, waiting: 1 } }, null);
  assert.equal(countdown.textContent, "");
});

test("the sign-in form passes the token and clears the field; it is focused when it appears", () => {
  const form = new FakeElement();
  form.hidden = true;
  const tokens = [];
  const signIn = new SignIn(form, (token) => tokens.push(token));
  const field = form.querySelector("input");
  signIn.show(true);
  signIn.show(true);
  assert.deepEqual([form.hidden, field.focused], [false, 1]);
  field.value = "secret";
  form.dispatchEvent(new Event("submit", { cancelable: true }));
  assert.deepEqual([tokens, field.value], [["secret"], ""]);
  signIn.show(false);
  assert.equal(form.hidden, true);
});
