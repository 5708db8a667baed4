// Goes live from a camera: asks what to publish, opens camera, tracker and stream, and keeps them.

import { access } from "../connection/access.js";
import { PublishedStreams } from "../connection/published_streams.js";
import { Trouble } from "../connection/trouble.js";
import { find } from "../panels/dom.js";
import { OwnVoicePanel } from "../panels/own_voice_panel.js";
import { PublishPanel } from "../panels/publish_panel.js";
import {
  describeCameraTrouble,
  describeConflict,
  describePublishTrouble,
  describeRefusedFrame,
  describeStartTrouble,
  describeTrackerTrouble,
  describeVoiceTrouble,
} from "../panels/publish_texts.js";
import { ShareLink } from "../panels/share_link.js";
import { FaceDriver } from "../tracking/face_driver.js";
import { FaceTracker } from "../tracking/face_tracker.js";
import { TrackerTrouble } from "../tracking/tracker_trouble.js";
import { listMicrophones, openMicrophone } from "../voice/microphone.js";
import { SoundLevel } from "../voice/sound_level.js";
import { FacePublisher } from "./face_publisher.js";
import { OwnCamera } from "./own_camera.js";
import { OwnVoice } from "./own_voice.js";
import { Portraits } from "./portraits.js";
import { PublisherConnection } from "./publisher_connection.js";
import { openPublisher, pathsTo } from "./publisher_path.js";
import { recallChoices, rememberChoices } from "./remembered_choices.js";
import { claimStream } from "./stream_claim.js";

const SHOW_EVERY_MS = 250;
const DRIVEN_BY = "jawOpen"; // an avatar with this coefficient has ARKit's

/** @typedef {import("../connection/avatars.js").Avatar} Avatar */

export class Publishing {
  #page;
  #base;
  #now;
  #streams;
  #panel;
  #portraits;
  #share;
  #driver = new FaceDriver();
  #tracker;
  #camera;
  #voice;
  #voicePanel;
  #choices;
  /** @type {Avatar[]} */ #avatars = [];
  /** @type {FacePublisher | null} */ #faces = null;
  /** @type {Set<(frame: import("../tracking/face_tracker.js").TrackedFrame) => void>} */
  #followers = new Set();
  /** @type {PublisherConnection | null} */ #connection = null;
  /** @type {import("../timing/telemetry.js").Telemetry | null} */ #telemetry = null;
  /** The stream whose conflict was reported to the user. @type {string | null} */ #warnedOf = null;
  /** @type {(stream: string) => void} */ #onLive = () => {};
  /** Resolves with the name of the stream when it is live. */
  live;

  /**
   * @param {Document} page
   * @param {URL} base the server's address
   * @param {string} stream name from the page's address, "" for none
   * @param {() => number} now `performance.now`
   */
  constructor(page, base, stream, now) {
    this.#page = page;
    this.#base = base;
    this.#now = now;
    this.#streams = new PublishedStreams(base);
    this.#choices = recallChoices();
    if (stream) this.#choices.stream = stream;
    const element = find(page, "#publish");
    this.#panel = new PublishPanel(element, {
      go: (choice) => this.#go(choice),
      avatarChosen: (avatar) => this.#portraits.choose(avatar),
      stop: () => this.stop(),
      calibrate: () => this.calibrate(),
      mirror: (mirrored) => this.#mirror(mirrored),
      showMesh: (shown) => this.#showMesh(shown),
      useCamera: (deviceId) => this.#useCamera(deviceId),
    });
    this.#portraits = new Portraits(this.#streams, this.#panel.cards, find(page, "#portrait"));
    this.#share = new ShareLink(element, page.location.href, (token, id) =>
      this.#streams.tokenKind(token, id),
    );
    this.#tracker = new FaceTracker({
      whileHidden: true,
      onFace: (frame) => this.#tracked(frame),
      onTrouble: (trouble) => this.#panel.showMessage(describeTrackerTrouble(trouble)),
    });
    this.#camera = new OwnCamera(this.#panel, this.#tracker);
    this.#voicePanel = new OwnVoicePanel(element, {
      choose: (microphone) => this.#useMicrophone(microphone),
      mute: () => this.toggleMute(),
    });
    const meter = (/** @type {MediaStream} */ microphone) => new SoundLevel(microphone);
    const devices = { open: openMicrophone, list: listMicrophones, meter };
    this.#voice = new OwnVoice(this.#voicePanel, devices, () => this.#connection?.useVoice());
    /** @type {Promise<string>} */
    this.live = new Promise((resolve) => {
      this.#onLive = resolve;
    });
  }

  /** Open the panel, and load what going live needs. */
  async open() {
    this.#page.body.classList.add("publish-open");
    this.#panel.open(this.#choices);
    this.#mirror(this.#choices.mirrored);
    this.#showMesh(this.#choices.mesh);
    this.#page.addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey }) => {
      if (key.toLowerCase() === "n" && !(ctrlKey || metaKey || altKey)) this.calibrate();
    });
    void this.#tracker.load().catch(() => {}); // reported when the user goes live
    const microphones = await listMicrophones().catch(() => []); // insecure: reported then, too
    this.#voicePanel.show(microphones, this.#choices.microphone);
    await this.#loadAvatars();
  }

  /**
   * Record from now on when a published face is displayed.
   *
   * @param {import("../timing/telemetry.js").Telemetry} telemetry
   */
  watch(telemetry) {
    this.#telemetry = telemetry;
    if (this.#faces) this.#faces.journal = telemetry.journal;
    setInterval(() => this.#show(), SHOW_EVERY_MS);
  }

  /**
   * Give the tracked frames to another reader too.
   *
   * @param {(frame: import("../tracking/face_tracker.js").TrackedFrame) => void} onFace
   * @returns {{close: () => void}}
   */
  followFaces(onFace) {
    this.#followers.add(onFace);
    return { close: () => this.#followers.delete(onFace) };
  }

  /** Take the next frames for the neutral face. */
  calibrate() {
    if (!this.#faces) return;
    this.#driver.calibration.begin();
    this.#panel.calibrating = true;
  }

  /** Mute one's own microphone, or end that. */
  toggleMute() {
    this.#voice.toggleMute();
  }

  /** Stop publishing and go back to the choices. */
  stop() {
    this.close();
    this.#page.location.reload();
  }

  /** Close camera, microphone, tracker and connection. */
  close() {
    this.#connection?.close();
    this.#tracker.close();
    this.#camera.close();
    this.#voice.close();
  }

  /** @returns {object | null} for `window.telewarp` */
  get stats() {
    const measured = this.#faces?.measured(this.#now());
    if (!measured) return null;
    const { muted, level } = this.#voice;
    const voice = this.#connection?.canSpeak ? { muted, level } : null;
    return { ...measured, tracker: this.#tracker.host, voice };
  }

  async #loadAvatars() {
    try {
      const all = await this.#streams.avatars();
      this.#avatars = all.filter(({ expression_names: names }) => names.includes(DRIVEN_BY));
    } catch (error) {
      this.#showTrouble(error);
      return;
    }
    const known = this.#avatars.some(({ id }) => id === this.#choices.avatar);
    const chosen = known ? this.#choices.avatar : (this.#avatars[0]?.id ?? "");
    this.#panel.cards.show(this.#avatars, chosen);
    await this.#portraits.load(
      this.#avatars.map(({ id }) => id),
      chosen,
    );
  }

  /** @param {import("../panels/publish_panel.js").Choice} choice */
  async #go({ stream, avatar, token }) {
    if (token) access.use(token);
    this.#panel.showMessage(null);
    this.#panel.busy = true;
    try {
      if (!this.#avatars.length) await this.#loadAvatars();
      if (!this.#avatars.length) return;
      await this.#start(stream, avatar || this.#panel.choice.avatar);
    } catch (error) {
      this.#showTrouble(error);
    } finally {
      this.#panel.busy = false;
    }
  }

  /**
   * @param {string} stream
   * @param {string} wanted avatar
   */
  async #start(stream, wanted) {
    const conflict = await claimStream(this.#streams, stream, wanted);
    if (conflict && this.#warnedOf !== stream) {
      this.#warnedOf = stream;
      // After `busy`, which writes on the same button.
      queueMicrotask(() => this.#panel.showMessage(describeConflict(conflict)));
      return;
    }
    const avatar = this.#avatars.find(({ id }) => id === (conflict?.avatar ?? wanted));
    if (!avatar)
      throw new Trouble("refused", { detail: `the avatar of “${stream}” is not driven by a face` });
    await this.#camera.open(this.#choices.camera);
    await this.#voice.use(this.#voicePanel.choice);
    await this.#publish(stream, avatar);
    this.#enterLive(stream, avatar.id);
  }

  /**
   * @param {string} stream
   * @param {Avatar} avatar
   */
  async #publish(stream, avatar) {
    const { timeOrigin } = performance;
    const names = avatar.expression_names;
    const faces = new FacePublisher(this.#driver, names, Date.now(), this.#now, timeOrigin);
    const paths = pathsTo(this.#base, stream, () => this.#voice.track);
    this.#connection = new PublisherConnection(stream, avatar.id, {
      streams: this.#streams,
      faces,
      voice: () => this.#voice.track,
      open: (onEnd) =>
        openPublisher(paths, this.#voice.track !== null, {
          onEnd,
          onRefused: (detail) => this.#refused(detail),
          onVoice: (trouble) =>
            this.#voicePanel.showMessage(trouble && describeVoiceTrouble(trouble)),
        }),
      onTrouble: (trouble) => this.#panel.showMessage(trouble && describePublishTrouble(trouble)),
      onTakenOver: () => this.#takenOver(stream),
    });
    await this.#connection.open();
    this.#faces = faces;
  }

  /**
   * @param {string} stream
   * @param {string} avatar
   */
  #enterLive(stream, avatar) {
    const { location, body } = this.#page;
    const address = new URL(location.href);
    address.search = new URLSearchParams({ publish: stream }).toString();
    history.replaceState(history.state, "", address);
    this.#page.title = `Live: ${stream} – Telewarp`;
    this.#remember({ stream, avatar });
    body.classList.add("publishing");
    this.#panel.live = true;
    this.#share.show(stream, false);
    void this.#streams.needsToken().then((needed) => this.#share.show(stream, needed));
    this.#onLive(stream);
  }

  /** @param {import("../tracking/face_tracker.js").TrackedFrame} frame */
  #tracked(frame) {
    this.#faces?.publish(frame); // first: drawing can wait
    for (const follower of this.#followers) follower(frame);
    this.#panel.preview.draw(frame.face?.landmarks ?? null);
    if (!this.#driver.calibration.measuring) this.#panel.calibrating = false;
  }

  /** @param {string} stream */
  #takenOver(stream) {
    this.close();
    this.#panel.preview.showOff("Your camera is off");
    this.#panel.showMessage({
      title: "Another publisher has taken over",
      detail: `“${stream}” now shows another publisher. Press Stop to go back.`,
    });
  }

  /** @param {string} detail the server's words */
  #refused(detail) {
    this.#panel.showMessage(describeRefusedFrame(detail));
  }

  /** @param {unknown} error */
  #showTrouble(error) {
    if (error instanceof Trouble) {
      if (error.kind === "sign-in") this.#panel.askForToken();
      this.#panel.showMessage(describeStartTrouble(error));
    } else if (error instanceof TrackerTrouble)
      this.#panel.showMessage(describeTrackerTrouble(error));
    else this.#panel.showMessage(describeCameraTrouble(error));
  }

  /** @param {boolean} mirrored */
  #mirror(mirrored) {
    this.#driver.mirrored = mirrored;
    this.#panel.preview.mirrored = mirrored;
    this.#remember({ mirrored });
  }

  /** @param {boolean} mesh */
  #showMesh(mesh) {
    this.#panel.preview.meshShown = mesh;
    this.#remember({ mesh });
  }

  /** @param {string} camera device id */
  async #useCamera(camera) {
    this.#driver.calibration.clear(); // it was measured with another camera
    this.#remember({ camera });
    await this.#camera.open(camera).catch((error) => this.#showTrouble(error));
  }

  /** @param {string} microphone device id, "" or `NO_MICROPHONE` */
  async #useMicrophone(microphone) {
    this.#remember({ microphone });
    if (this.#faces) await this.#voice.use(microphone); // else when the user goes live
  }

  /** @param {Partial<import("./remembered_choices.js").Choices>} choices */
  #remember(choices) {
    Object.assign(this.#choices, choices);
    rememberChoices(this.#choices);
  }

  async #show() {
    const voiceBytes = await this.#connection?.voiceBytes();
    if (typeof voiceBytes === "number") this.#faces?.voiceSent(voiceBytes, this.#now());
    const measured = this.#faces?.measured(this.#now());
    if (!measured) return;
    const { tracked_fps, tracking_ms, sent_kbps, face_found } = measured;
    const photon = this.#telemetry?.measured(this.#now()).pose_to_photon_ms;
    this.#panel.preview.faceFound = face_found;
    this.#panel.showMeasured({
      fps: tracked_fps.toFixed(0),
      tracking: tracking_ms.p50?.toFixed(0) ?? "–",
      photon: photon?.p50?.toFixed(0) ?? "–",
      photon_p95: photon?.p95 ? `p95 ${photon.p95.toFixed(0)}` : "",
      kbps: sent_kbps.toFixed(0),
    });
  }
}
