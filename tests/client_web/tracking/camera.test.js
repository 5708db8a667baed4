// The camera and the microphone are opened in the same way.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { listCameras, openCamera } from "../../../client_web/js/tracking/camera.js";
import { listMicrophones, openMicrophone } from "../../../client_web/js/voice/microphone.js";

const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
const DEVICES = [
  { kind: "videoinput", deviceId: "front" },
  { kind: "audioinput", deviceId: "headset" },
  { kind: "audiooutput", deviceId: "loudspeaker" },
];

let asked;
const provide = (mediaDevices) =>
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
beforeEach(() => {
  asked = [];
  provide({
    getUserMedia: async (wanted) => {
      asked.push(wanted);
      return "the stream";
    },
    enumerateDevices: async () => DEVICES,
  });
});
afterEach(() => {
  if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
  else delete globalThis.navigator;
});

test("without a choice the camera that shows the user is opened, at the tracker's size", async () => {
  assert.equal(await openCamera(), "the stream");
  const { video, audio } = asked[0];
  assert.deepEqual([video.facingMode, video.width.ideal, video.height.ideal], ["user", 640, 480]);
  assert.equal("deviceId" in video, false);
  assert.equal(audio, false);
});

test("a chosen device is opened exactly, so that another one cannot take its place", async () => {
  await openCamera("front", { width: { ideal: 1280 } });
  await openMicrophone("headset");
  assert.deepEqual(asked[0].video, { width: { ideal: 1280 }, deviceId: { exact: "front" } });
  assert.deepEqual(asked[1].audio.deviceId, { exact: "headset" });
});

test("the default microphone is opened with echo cancellation", async () => {
  await openMicrophone("");
  const { audio, video } = asked[0];
  assert.equal("deviceId" in audio, false);
  assert.deepEqual(
    [audio.echoCancellation.ideal, audio.channelCount.ideal, video],
    [true, 1, false],
  );
});

test("on an address that is not secure the error says so", async () => {
  provide(undefined);
  await assert.rejects(openCamera(), { name: "insecure" });
  await assert.rejects(openMicrophone(), { name: "insecure" });
});

test("only devices of the kind are listed", async () => {
  assert.deepEqual(await listCameras(), [DEVICES[0]]);
  assert.deepEqual(await listMicrophones(), [DEVICES[1]]);
});
