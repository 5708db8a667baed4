// The page of a call: the lobby, then the seat, the table and one's own camera and microphone.

import { access } from "../connection/access.js";
import { CallConnection } from "../connection/call_connection.js";
import { findCall } from "../connection/call_host.js";
import { PublishedStreams } from "../connection/published_streams.js";
import { Trouble } from "../connection/trouble.js";
import { CallBar } from "../panels/call_bar.js";
import { CallLobby } from "../panels/call_lobby.js";
import { describeCallTrouble } from "../panels/call_texts.js";
import { CameraPreview } from "../panels/camera_preview.js";
import { find } from "../panels/dom.js";
import { OwnVoicePanel } from "../panels/own_voice_panel.js";
import {
  describeCameraTrouble,
  describeRefusedFrame,
  describeTrackerTrouble,
  describeVoiceTrouble,
} from "../panels/publish_texts.js";
import { showWords } from "../panels/words.js";
import { FaceTracker } from "../tracking/face_tracker.js";
import { TrackerTrouble } from "../tracking/tracker_trouble.js";
import { listMicrophones, openMicrophone } from "../voice/microphone.js";
import { SoundLevel } from "../voice/sound_level.js";
import { CallPublisher } from "./call_publisher.js";
import { CallTable } from "./call_table.js";
import { OwnCamera } from "./own_camera.js";
import { OwnVoice } from "./own_voice.js";
import { Portraits } from "./portraits.js";
import { recallChoices, rememberChoices } from "./remembered_choices.js";

const DRIVEN_BY = "jawOpen"; // an avatar with this coefficient has ARKit's

/**
 * @typedef {import("../connection/avatars.js").Avatar} Avatar
 * @typedef {import("../connection/call_connection.js").Seat} Seat
 * @typedef {import("../panels/publish_texts.js").PublishText} PublishText
 */

export class CallPage {
  #page;
  #base;
  #streams;
  #storage;
  #lobby;
  #bar;
  #preview;
  #voicePanel;
  #voice;
  #camera;
  #tracker;
  #publisher;
  #portraits;
  #choices = recallChoices();
  /** @type {Avatar[]} */ #avatars = [];
  /** @type {CallConnection | null} */ #connection = null;
  /** @type {Seat | null} */ #seat = null;

  /** The call's name, "" before it was chosen. */
  call;

  /** The other people. */
  table;

  /**
   * @param {Document} page
   * @param {URL} base the server's address
   * @param {string} call its name, "" to ask for it
   * @param {import("../timing/view_clock.js").Timers} timers
   * @param {Storage | null} storage of this tab
   */
  constructor(page, base, call, timers, storage) {
    this.#page = page;
    this.#base = base;
    this.call = call;
    this.#storage = storage;
    this.#streams = new PublishedStreams(base);
    this.#lobby = new CallLobby(find(page, "#lobby"), {
      join: (choice) => this.#join(choice),
      avatarChosen: (avatar) => this.#portraits.choose(avatar),
    });
    this.#portraits = new Portraits(this.#streams, this.#lobby.cards, find(page, "#portrait"));
    this.#bar = new CallBar(page, {
      leave: () => this.leave(),
      calibrate: () => this.calibrate(),
      followEyes: (on) => this.table.followEyes(on),
      unblock: () => this.table.unblock(),
      useCamera: (deviceId) => this.#useCamera(deviceId),
    });
    this.#preview = new CameraPreview(find(page, ".camera"));
    this.#preview.mirrored = true; // one's own image; the others see the person unmirrored
    this.#tracker = new FaceTracker({
      whileHidden: true,
      onFace: (frame) => this.#tracked(frame),
      onTrouble: (trouble) => this.#showMessage(describeTrackerTrouble(trouble)),
    });
    this.#camera = new OwnCamera(this.#cameraPanel(), this.#tracker);
    this.#voicePanel = new OwnVoicePanel(page.body, {
      choose: (microphone) => this.#useMicrophone(microphone),
      mute: () => this.toggleMute(),
    });
    this.#voice = new OwnVoice(
      this.#voicePanel,
      { open: openMicrophone, list: listMicrophones, meter: (stream) => new SoundLevel(stream) },
      () => this.#voiceChanged(),
    );
    this.#publisher = new CallPublisher(
      () => this.#voice.track,
      this.#publisherEvents(),
      timers.now,
    );
    this.table = new CallTable(page, {
      ...{ element: find(page, "#table"), timers },
      onDirections: (directions) => this.#connection?.update({ directions }),
      onBlocked: (blocked) => {
        this.#bar.blocked = blocked;
      },
    });
  }

  /** Open the lobby: the camera, the avatars, and who is there. */
  async open() {
    const { call } = this;
    this.#lobby.open({ call, name: this.#choices.name });
    if (call) void this.#showPeople(call);
    this.#voicePanel.show(await microphones(), this.#choices.microphone);
    void this.#openCamera(this.#choices.camera);
    await this.#loadAvatars().catch((error) => this.#showTrouble(error));
  }

  /** @returns {boolean} whether one has a seat */
  get seated() {
    return this.#page.body.dataset.phase === "seated";
  }

  /** @returns {Promise<object>} for `window.telewarp` */
  async stats() {
    const { others } = this.table;
    return {
      ...{ call: this.call, seat: this.#seat?.seat ?? null, phase: this.#page.body.dataset.phase },
      tiles: Object.fromEntries(others.map(({ seat }) => [seat, this.table.tile(seat)?.stats])),
      people: others.map(({ name }) => name),
      publishing: await this.#publisher.stats(),
      muted: this.#voice.muted,
    };
  }

  /** @returns {CallPublisher["sentFaces"]} when they were captured and sent, page clock */
  get sentFaces() {
    return this.#publisher.sentFaces;
  }

  /** Mute the microphone, or end that. */
  toggleMute() {
    if (!this.#voice.track) return;
    this.#voice.toggleMute();
    this.#sendMuted();
  }

  /** Take the present face as neutral, and the present position as straight ahead. */
  calibrate() {
    this.#publisher.calibrate();
    this.table.calibrate();
  }

  /** Give up the seat. */
  leave() {
    this.#connection?.leave();
    this.#end({ title: "You have left the call", detail: "" });
  }

  /** Retry the pending attempt now. */
  retryNow() {
    this.table.retryNow();
  }

  /** End everything; the seat is kept for a while. */
  close() {
    this.#connection?.close();
    this.#publisher.close();
    this.table.close();
    this.#voice.close();
    this.#camera.close();
    this.#tracker.close();
  }

  async #loadAvatars() {
    const all = await this.#streams.avatars();
    this.#avatars = all.filter(({ expression_names: names }) => names.includes(DRIVEN_BY));
    const known = this.#avatars.some(({ id }) => id === this.#choices.avatar);
    const chosen = known ? this.#choices.avatar : (this.#avatars[0]?.id ?? "");
    const ids = this.#avatars.map(({ id }) => id);
    this.#lobby.cards.show(this.#avatars, chosen);
    void this.#portraits.load(ids, chosen);
  }

  /** @param {string} call */
  async #showPeople(call) {
    const found = await findCall(this.#base, call).catch(() => null); // reported when one joins
    this.#lobby.showPeople(found?.people ?? null);
  }

  /** @param {import("../panels/call_lobby.js").CallChoice} choice */
  async #join({ call, name, avatar, token }) {
    if (token) access.use(token);
    this.call = call;
    this.#showMessage(null);
    this.#lobby.busy = true;
    try {
      if (!this.#avatars.length) await this.#loadAvatars();
      this.#remember({ name, ...(avatar && { avatar }) });
      await this.#voice.use(this.#voicePanel.choice);
      const connection = new CallConnection(this.#base, call, this.#callEvents(), this.#storage);
      await connection.join({ name, avatar: this.#choices.avatar });
      this.#connection = connection;
      this.#enter();
    } catch (error) {
      this.#voice.close();
      this.#showTrouble(error);
    } finally {
      this.#lobby.busy = false;
    }
  }

  #enter() {
    const { location, body } = this.#page;
    const address = new URL(location.href);
    address.search = new URLSearchParams({ call: this.call }).toString();
    history.replaceState(history.state, "", address);
    this.#page.title = `${this.call} – Telewarp`;
    find(this.#page, "[data-call-name]").textContent = this.call;
    body.dataset.phase = "seated";
    this.calibrate();
    this.#sendMuted();
  }

  #callEvents() {
    return {
      onSeat: (/** @type {Seat} */ seat) => this.#seated(seat),
      onRoster: (
        /** @type {readonly import("../connection/call_connection.js").Person[]} */ people,
      ) => {
        if (!this.#seat) return;
        this.table.show(people, this.#seat);
        this.#bar.showPeople(this.call, this.table.others);
      },
      onLost: () =>
        this.#showMessage({ title: "The connection was lost", detail: "Reconnecting." }),
      onEnd: (/** @type {Trouble} */ trouble) => this.#end(describeCallTrouble(trouble, this.call)),
    };
  }

  /** @param {Seat} seat */
  #seated(seat) {
    this.#seat = seat;
    this.#showMessage(null);
    const avatar = this.#avatars.find(({ id }) => id === this.#choices.avatar);
    if (!avatar || this.#publisher.stream === seat.stream) return;
    this.#publisher.open(seat, avatar).catch((error) => this.#showTrouble(error));
  }

  #publisherEvents() {
    return {
      onTrouble: () => {}, // the connection to the call reports the same
      onVoice: (/** @type {Trouble | null} */ trouble) =>
        this.#voicePanel.showMessage(trouble && describeVoiceTrouble(trouble)),
      onRefused: (/** @type {string} */ detail) => this.#showMessage(describeRefusedFrame(detail)),
    };
  }

  #cameraPanel() {
    return {
      preview: this.#preview,
      showCameras: (
        /** @type {readonly MediaDeviceInfo[]} */ cameras,
        /** @type {string | undefined} */ used,
      ) => this.#bar.showCameras(cameras, used),
      showMessage: (/** @type {PublishText | null} */ words) => this.#showMessage(words),
    };
  }

  /** @param {string | undefined} deviceId */
  async #openCamera(deviceId) {
    await this.#camera.open(deviceId).catch((error) => this.#showTrouble(error));
  }

  /** @param {string} camera device id */
  async #useCamera(camera) {
    this.#remember({ camera });
    await this.#openCamera(camera);
    this.calibrate();
  }

  /** @param {string} microphone device id, "" or `NO_MICROPHONE` */
  async #useMicrophone(microphone) {
    this.#remember({ microphone });
    if (this.seated) await this.#voice.use(microphone);
  }

  #voiceChanged() {
    this.#publisher.useVoice();
    this.#sendMuted();
  }

  #sendMuted() {
    this.#connection?.update({ muted: this.#voice.muted || this.#voice.track === null });
  }

  /** @param {import("../tracking/face_tracker.js").TrackedFrame} frame */
  #tracked(frame) {
    if (this.seated) this.#publisher.publish(frame); // first: drawing can wait
    this.table.tracked(frame);
    this.#preview.draw(frame.face?.landmarks ?? null);
    this.#preview.faceFound = frame.face !== null;
    this.#bar.calibrating = this.#publisher.calibrating;
  }

  /** @param {PublishText} text why it is over */
  #end({ title, detail }) {
    this.close();
    this.#page.body.dataset.phase = "over";
    find(this.#page, "#over [data-title]").textContent = title;
    find(this.#page, "#over [data-detail]").textContent = detail;
    find(this.#page, "#over a").focus(); // the button that was pressed is hidden now
  }

  /** @param {unknown} error */
  #showTrouble(error) {
    if (error instanceof Trouble) {
      if (error.kind === "sign-in") this.#lobby.askForToken();
      this.#showMessage(describeCallTrouble(error, this.call));
    } else if (error instanceof TrackerTrouble) this.#showMessage(describeTrackerTrouble(error));
    else this.#showMessage(describeCameraTrouble(error));
  }

  /** @param {PublishText | null} words null for nothing */
  #showMessage(words) {
    showWords(this.#page, words);
  }

  /** @param {Partial<import("./remembered_choices.js").Choices>} choices */
  #remember(choices) {
    Object.assign(this.#choices, choices);
    rememberChoices(this.#choices);
  }
}

/** @returns {Promise<MediaDeviceInfo[]>} none if the browser does not list them */
async function microphones() {
  try {
    return await listMicrophones();
  } catch {
    return []; // the page's address is not secure; reported when the camera is opened
  }
}
