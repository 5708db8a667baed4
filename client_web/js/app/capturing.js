// Records a person for an avatar: consent, the guided minute, upload, and the progress of the job.

import { access } from "../connection/access.js";
import { AvatarJobs } from "../connection/avatar_jobs.js";
import { Trouble } from "../connection/trouble.js";
import { CapturePanel } from "../panels/capture_panel.js";
import { describeJob, describeJobTrouble, describeMissing } from "../panels/capture_texts.js";
import { find } from "../panels/dom.js";
import { describeCameraTrouble, describeTrackerTrouble } from "../panels/publish_texts.js";
import { openCamera } from "../tracking/camera.js";
import { LENGTH_S, stepAt } from "../tracking/capture_steps.js";
import { Coverage } from "../tracking/coverage.js";
import { FaceTracker } from "../tracking/face_tracker.js";
import { TrackerTrouble } from "../tracking/tracker_trouble.js";
import { recallChoices, rememberChoices } from "./remembered_choices.js";

const SIZE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const BITS_PER_S = 8_000_000; // a minute of 60 MB; less smears the skin
const FORMATS = ["video/mp4;codecs=avc1.640028", "video/webm;codecs=vp9", "video/webm"];
const SHOW_EVERY_MS = 100;
const ASK_EVERY_MS = 1000;

/** @typedef {Pick<FaceTracker, "load" | "start" | "stop" | "close" | "connections">} Tracker */

export class Capturing {
  #jobs;
  #panel;
  #now;
  #tracker;
  /** @type {import("../panels/capture_panel.js").Person | null} */ #person = null;
  /** @type {MediaStream | null} */ #camera = null;
  /** @type {MediaRecorder | null} */ #recorder = null;
  /** @type {Blob | null} */ #video = null;
  #coverage = new Coverage();
  #began_ms = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #showing;
  #ending = new AbortController();
  /** @type {string | null} */ #job = null;

  /**
   * @param {Document} page
   * @param {URL} base the server's address
   * @param {() => number} now `performance.now`
   * @param {(events: ConstructorParameters<typeof FaceTracker>[0]) => Tracker} [createTracker]
   */
  constructor(page, base, now, createTracker = (events) => new FaceTracker(events)) {
    this.#jobs = new AvatarJobs(base);
    this.#now = now;
    const actions = {
      begin: (/** @type {import("../panels/capture_panel.js").Person} */ person) =>
        void this.#begin(person),
      finish: () => this.#recorder?.stop(),
      upload: () => void this.#upload(),
      again: () => this.#restart(),
      remove: () => void this.#remove(),
    };
    const day = new Date().toISOString().slice(0, 10);
    this.#panel = new CapturePanel(find(page, "#capture"), actions, day);
    this.#tracker = createTracker({
      onFace: ({ face }) => this.#tracked(face),
      onTrouble: (trouble) => this.#panel.showMessage(describeTrackerTrouble(trouble)),
    });
    page.body.classList.add("capture-open");
  }

  /** @param {string} name from the page's address */
  open(name) {
    this.#panel.open(name);
    this.#panel.showCoverage(this.#coverage.covered);
    void this.#tracker.load().catch(() => {}); // reported when the recording starts
    this.#jobs.check().catch((error) => {
      this.#showTrouble(error);
      if (error instanceof Trouble && error.kind === "unknown-stream") this.#panel.refuse();
    });
  }

  /** Close camera, tracker and upload. A job continues on the server. */
  close() {
    this.#ending.abort();
    this.#closeCamera();
    this.#tracker.close();
  }

  /** @param {import("../panels/capture_panel.js").Person} person */
  async #begin(person) {
    if (person.token) access.use(person.token);
    this.#person = person;
    this.#panel.showMessage(null);
    this.#panel.busy = true;
    try {
      await this.#jobs.check(); // before a minute is spent
      await this.#openCamera();
      this.#record();
    } catch (error) {
      this.#closeCamera();
      this.#showTrouble(error);
    } finally {
      this.#panel.busy = false;
    }
  }

  async #openCamera() {
    const { preview } = this.#panel;
    preview.showOff("Waiting for your camera…");
    this.#camera = await openCamera(undefined, SIZE);
    await preview.show(this.#camera);
    this.#coverage = new Coverage();
    await this.#tracker.start(preview.video);
    preview.connections = this.#tracker.connections;
  }

  #record() {
    if (!this.#camera) return;
    const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
    const recorder = new MediaRecorder(this.#camera, { mimeType, videoBitsPerSecond: BITS_PER_S });
    /** @type {Blob[]} */
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => this.#recorded(new Blob(parts, { type: recorder.mimeType }));
    const [track] = this.#camera.getVideoTracks();
    track.onended = () =>
      this.#panel.showMessage(describeCameraTrouble({ name: "NotReadableError" }));
    recorder.start(1000);
    this.#recorder = recorder;
    this.#began_ms = this.#now();
    this.#panel.phase = "recording";
    this.#showing = setInterval(() => this.#show(), SHOW_EVERY_MS);
    this.#show();
  }

  /** Show what to do now; end after the last step. */
  #show() {
    const time_s = (this.#now() - this.#began_ms) / 1000;
    const current = stepAt(time_s);
    this.#panel.showCoverage(this.#coverage.covered);
    if (current) this.#panel.showStep(current.step.text, time_s / LENGTH_S);
    else if (this.#recorder?.state === "recording") this.#recorder.stop();
  }

  /** @param {import("../tracking/detection.js").Face | null} face */
  #tracked(face) {
    this.#panel.preview.draw(face?.landmarks ?? null);
    this.#panel.preview.faceFound = face !== null;
    if (face && this.#recorder?.state === "recording") this.#coverage.add(face);
  }

  /** @param {Blob} video */
  #recorded(video) {
    clearInterval(this.#showing);
    this.#closeCamera();
    this.#recorder = null;
    this.#video = video;
    const { covered } = this.#coverage;
    this.#panel.showCoverage(covered);
    this.#panel.showRecording(video, describeMissing(covered));
    this.#panel.phase = "review";
  }

  #restart() {
    this.#video = null;
    this.#panel.discardRecording();
    this.#job = null;
    this.#coverage = new Coverage();
    this.#panel.showMessage(null);
    this.#panel.showCoverage(this.#coverage.covered);
    this.#panel.phase = "consent";
  }

  async #upload() {
    if (!this.#video || !this.#person) return;
    const { name, consent } = this.#person;
    const megabytes = (this.#video.size / 1e6).toFixed(0);
    this.#panel.showMessage(null);
    this.#panel.phase = "job";
    this.#panel.showProgress({ title: "Uploading", detail: `${megabytes} MB`, share: 0 });
    this.#ending = new AbortController();
    try {
      const job = await this.#jobs.add(this.#video, { name, consent }, this.#ending.signal);
      this.#job = job.id;
      await this.#follow(job);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      this.#panel.phase = "review";
      this.#showTrouble(error);
    }
  }

  /**
   * Show a job until it has ended.
   *
   * @param {import("../connection/avatar_jobs.js").AvatarJob} first
   */
  async #follow(first) {
    let job = first;
    while (!this.#ending.signal.aborted) {
      this.#panel.showProgress(describeJob(job));
      if (job.state === "done" || job.state === "failed") {
        // The page to go live offers the remembered avatar.
        if (job.avatar) rememberChoices({ ...recallChoices(), avatar: job.avatar });
        this.#panel.discardRecording();
        this.#panel.showResult(job.avatar);
        this.#panel.phase = "ended";
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
      job = await this.#jobs.get(job.id).catch((error) => {
        if (error instanceof Trouble && error.kind === "unreachable") return job; // it goes on
        throw error;
      });
    }
  }

  async #remove() {
    this.#ending.abort();
    try {
      if (this.#job) await this.#jobs.remove(this.#job);
    } catch (error) {
      this.#showTrouble(error);
    }
    this.#restart();
  }

  #closeCamera() {
    this.#tracker.stop();
    for (const track of this.#camera?.getTracks() ?? []) track.stop();
    this.#camera = null;
    this.#panel.preview.showOff("Your camera is off");
  }

  /** @param {unknown} error */
  #showTrouble(error) {
    if (error instanceof Trouble) {
      this.#panel.showMessage(describeJobTrouble(error));
      if (error.kind === "sign-in") this.#panel.askForToken();
    } else if (error instanceof TrackerTrouble)
      this.#panel.showMessage(describeTrackerTrouble(error));
    else this.#panel.showMessage(describeCameraTrouble(error));
  }
}
