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
  for (const track of stream.getAudioTracks()) void listen(track.clone(), probes.captured, (duration_ms) => -duration_ms);
  return stream;
};

/**
 * Find the beginnings of beeps.
 *
 * Buffers arrive late, never early: the earliest arrival, compared with its own clock, is the time
 * of all.
 *
 * @param {MediaStreamTrack} track
 * @param {number[]} list
 * @param {(duration_ms: number) => number} offset_ms from a buffer's arrival to the time of its
 *   first sample. A microphone's last sample is captured when its buffer arrives; a received
 *   buffer's first one is heard when the samples before it have left the loudspeaker.
 */
async function listen(track, list, offset_ms) {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  let clock_ms = Infinity;
  for (;;) {
    const { value: data, done } = await reader.read();
    if (done) return;
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const began_ms = data.timestamp / 1000;
    clock_ms = Math.min(clock_ms, now() - began_ms);
    const loud = samples.findIndex((sample) => Math.abs(sample) > LOUD);
    const within_ms = (Math.max(0, loud) / data.sampleRate) * 1000;
    const at_ms = clock_ms + began_ms + within_ms + offset_ms(data.duration / 1000);
    if (loud >= 0) keepOnset(list, at_ms);
    data.close();
  }
}

// --- the page that watches -----------------------------------------------------------------------

const displayed = new Map();
const { addTransceiver, createDataChannel } = RTCPeerConnection.prototype;

RTCPeerConnection.prototype.addTransceiver = function (kind, options) {
  const wanted = kind !== "audio" || !window.withoutVoice;
  const transceiver = wanted ? addTransceiver.call(this, kind, options) : {};
  if (kind === "video") this.addEventListener("track", ({ track }) => watch(this, track));
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

function watch(connection, track) {
  if (track.kind === "video") return watchVideo();
  // The page's <audio> plays the track. Through an AudioContext it would be 10 ms later.
  let playout_ms = 0;
  let before = { totalPlayoutDelay: 0, totalSamplesCount: 0 };
  setInterval(async () => {
    for (const stats of (await connection.getStats()).values()) {
      if (stats.type !== "media-playout") continue;
      const samples = stats.totalSamplesCount - before.totalSamplesCount;
      const delay_s = stats.totalPlayoutDelay - before.totalPlayoutDelay;
      if (samples > 0) playout_ms = (delay_s / samples) * 1000;
      before = stats;
    }
  }, 200);
  void listen(track.clone(), probes.heard, () => playout_ms);
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
