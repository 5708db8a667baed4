// What the voice benchmark records in its two pages, independently of the page's own measurements.
// All times are in milliseconds since 1970, which both pages of one browser share.

const probes = {
  /** Mesh frames: number, capture of the camera's frame, opening of the jaw, when it was sent. */
  meshes: [],
  /** Beeps as the microphone's samples arrive. */
  captured: [],
  /** Frames as they are displayed: number of the mesh frame, time. */
  shown: [],
  /** Beeps as they leave the loudspeaker. */
  heard: [],
};
window.voiceProbes = probes;

const LOUD = 0.03;
const PAUSE_MS = 300; // between two beeps
const now = () => performance.timeOrigin + performance.now();

/** Keep the beginning of each beep. */
function keepOnset(list, at_ms) {
  if (at_ms - (list.quietSince ?? 0) > PAUSE_MS) list.push(at_ms);
  list.quietSince = at_ms;
}

// --- the page that publishes ---------------------------------------------------------------------

const { send } = RTCDataChannel.prototype;
RTCDataChannel.prototype.send = function (message) {
  if (this.label === "mesh") {
    const frame = new DataView(message); // packed, see server/protocol/packed_mesh.py
    const jaw = frame.getInt16(31 + 2 * window.jawIndex, true) / 2000;
    const seq = Number(frame.getBigUint64(1, true));
    probes.meshes.push([seq, frame.getFloat64(9, true), jaw, now()]);
  }
  return send.call(this, message);
};

const { getUserMedia } = MediaDevices.prototype;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await getUserMedia.call(this, wanted);
  for (const track of stream.getAudioTracks()) void listen(track.clone());
  return stream;
};

/** Find beeps in a microphone: its last sample was captured when its buffer arrives, at best. */
async function listen(track) {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  let offset_ms = Infinity;
  for (;;) {
    const { value: data, done } = await reader.read();
    if (done) return;
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const began_ms = data.timestamp / 1000;
    const duration_ms = data.duration / 1000;
    offset_ms = Math.min(offset_ms, now() - began_ms - duration_ms);
    const loud = samples.findIndex((sample) => Math.abs(sample) > LOUD);
    const at_ms = offset_ms + began_ms + (Math.max(0, loud) / data.sampleRate) * 1000;
    if (loud >= 0) keepOnset(probes.captured, at_ms);
    data.close();
  }
}

// --- the page that watches -----------------------------------------------------------------------

const DETECTOR = `registerProcessor("detector", class extends AudioWorkletProcessor {
  process([[samples]]) {
    const loud = samples?.findIndex((sample) => Math.abs(sample) > ${LOUD}) ?? -1;
    if (loud >= 0) this.port.postMessage(currentTime + loud / sampleRate);
    return true;
  }
});`;
const displayed = new Map();
const { addTransceiver, createDataChannel } = RTCPeerConnection.prototype;

RTCPeerConnection.prototype.addTransceiver = function (kind, options) {
  const wanted = kind !== "audio" || !window.withoutVoice;
  const transceiver = wanted ? addTransceiver.call(this, kind, options) : {};
  if (kind === "video") this.addEventListener("track", (event) => watch(event));
  return transceiver;
};

RTCPeerConnection.prototype.createDataChannel = function (label, options) {
  const channel = createDataChannel.call(this, label, options);
  if (label === "events") channel.addEventListener("message", ({ data }) => frameTold(data));
  return channel;
};

function frameTold(text) {
  const event = JSON.parse(text);
  if (event.type === "frame") keepFrame(event.rtp_timestamp, { mesh_seq: event.mesh_seq });
}

/** Event and display of a frame come in either order. */
function keepFrame(rtpTimestamp, part) {
  const frame = { ...displayed.get(rtpTimestamp), ...part };
  displayed.set(rtpTimestamp, frame);
  if (displayed.size > 500) displayed.delete(displayed.keys().next().value);
  if (frame.mesh_seq && frame.at_ms) probes.shown.push([frame.mesh_seq, frame.at_ms]);
}

async function watch({ track }) {
  if (track.kind === "video") return void watchVideo();
  const context = new AudioContext();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const code = URL.createObjectURL(new Blob([DETECTOR], { type: "text/javascript" }));
  await context.audioWorklet.addModule(code);
  const detector = new AudioWorkletNode(context, "detector");
  detector.port.onmessage = ({ data: at_s }) => {
    const { contextTime, performanceTime } = context.getOutputTimestamp();
    if (!contextTime) return; // nothing has left the loudspeaker yet
    const at_ms = performanceTime + (at_s - contextTime) * 1000;
    keepOnset(probes.heard, performance.timeOrigin + at_ms);
  };
  source.connect(detector);
}

function watchVideo() {
  const video = document.querySelector("video");
  const next = (_now, { rtpTimestamp, expectedDisplayTime }) => {
    video.requestVideoFrameCallback(next);
    if (rtpTimestamp !== undefined) {
      keepFrame(rtpTimestamp, { at_ms: performance.timeOrigin + expectedDisplayTime });
    }
  };
  video.requestVideoFrameCallback(next);
}
