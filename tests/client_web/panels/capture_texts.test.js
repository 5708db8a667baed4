import assert from "node:assert/strict";
import { test } from "node:test";
import { AvatarJobs, asciiJson } from "../../../client_web/js/connection/avatar_jobs.js";
import { Trouble } from "../../../client_web/js/connection/trouble.js";
import {
  consentOf,
  describeJob,
  describeJobTrouble,
  describeMissing,
} from "../../../client_web/js/panels/capture_texts.js";

const ALL = { open: 1, round: 1, pursed: 1, smile: 1, blink: 1, brows: 1 };
const JOB = {
  id: "a",
  state: "running",
  position: null,
  stage: "track",
  stage_index: 1,
  stages: 4,
  fraction: 0.5,
  message: "tracks the face",
  avatar: null,
  error: null,
};

test("exactly the missing parts of a recording are named", () => {
  const yaw = new Array(7).fill(true);
  const pitch = new Array(5).fill(true);
  assert.equal(describeMissing({ yaw, pitch, expressions: ALL, share: 1 }), "");
  const text = describeMissing({
    yaw: yaw.with(6, false),
    pitch: pitch.with(0, false),
    expressions: { ...ALL, open: 0, smile: 0.9 },
    share: 0.8,
  });
  assert.equal(text, "turning to your left, chin down, mouth open (A), smile");
});

test("the statement names the person and the day", () => {
  assert.match(consentOf("Zoë", "2026-01-01"), /^I am Zoë\. I agree .* 2026-01-01$/);
});

test("the progress of a job is one fraction of the whole", () => {
  assert.deepEqual(describeJob(JOB), {
    title: "Step 2 of 4",
    detail: "Tracks the face.",
    share: 0.375,
  });
  assert.equal(describeJob({ ...JOB, stage: "", stages: 1 }).title, "Starting");
  const waiting = (position) => describeJob({ ...JOB, state: "waiting", position }).detail;
  assert.equal(waiting(3), "2 other avatars are made before it.");
  assert.equal(waiting(2), "1 other avatar is made before it.");
  assert.equal(waiting(1), "It begins soon.");
  const failed = describeJob({ ...JOB, state: "failed", error: "two faces" });
  assert.deepEqual(failed, { title: "No avatar was made", detail: "Two faces.", share: 0 });
});

test("each rejection has a helpful message", () => {
  const off = "no avatar can be added: start the server with --avatar-store DIR";
  for (const [kind, facts, title] of [
    ["sign-in", {}, "This server needs a token"],
    ["unknown-stream", { status: 404, detail: off }, "This server makes no avatars yet"],
    ["unknown-stream", { status: 404, detail: "no job 'a'" }, "The job no longer exists"],
    ["refused", { status: 413, detail: "too large" }, "The video is too large"],
    ["unreachable", {}, "The server is not answering"],
  ]) {
    assert.equal(describeJobTrouble(new Trouble(kind, facts)).title, title);
  }
});

test("a video is sent with its content type and an ASCII header", async () => {
  const calls = [];
  const jobs = new AvatarJobs(new URL("http://server/"), async (address, options) => {
    calls.push([String(address), options]);
    return new Response(JSON.stringify(JOB), { status: 202 });
  });
  const video = new Blob(["face"], { type: "video/webm;codecs=vp9" });
  const person = { name: "Zoë 😀", consent: "I agree." };
  const job = await jobs.add(video, person, new AbortController().signal);
  assert.equal(job.id, "a");
  const [address, { method, headers, body }] = calls[0];
  assert.equal(address, "http://server/v1/avatars");
  assert.deepEqual([method, headers["Content-Type"], body], ["POST", "video/webm", video]);
  assert.match(headers["Telewarp-Avatar"], /^[ -~]+$/);
  assert.deepEqual(JSON.parse(headers["Telewarp-Avatar"]), person);
  assert.deepEqual(JSON.parse(asciiJson({ text: "é\n😀" })), { text: "é\n😀" });
});

test("a rejection by the server is a trouble with its message", async () => {
  const answer = () => Response.json({ detail: "at most 4 jobs" }, { status: 429 });
  const jobs = new AvatarJobs(new URL("http://server/"), async () => answer());
  await assert.rejects(jobs.get("a"), { kind: "refused", detail: "at most 4 jobs", status: 429 });
});
