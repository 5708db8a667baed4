// The panel of presets and sliders that drives the face. Reads its elements, independent of the network.

import { groupCoefficients } from "../input/coefficients.js";
import { PERFORMANCES, PRESETS } from "../input/presets.js";
import { find } from "./dom.js";

/** @type {{axis: HeadAxis, label: string, limit_deg: number}[]} */
const HEAD_CONTROLS = [
  { axis: "turn", label: "Turn", limit_deg: 30 },
  { axis: "nod", label: "Nod", limit_deg: 20 },
  { axis: "tilt", label: "Tilt", limit_deg: 20 },
];
const DEGREE = Math.PI / 180;

/**
 * @typedef {import("../input/coefficients.js").Control} Control
 * @typedef {keyof import("../input/face.js").HeadAngles} HeadAxis
 * @typedef {{input: HTMLInputElement, output: HTMLOutputElement}} Slider
 * @typedef {Slider & {row: HTMLElement, name: HTMLElement}} SliderRow
 */

export class Controls {
  #document;
  #groups;
  #presets;
  /** @type {HTMLInputElement} */ #linked;
  #face;
  #onChange;
  /** @type {Map<string, SliderRow & {control: Control}>} by coefficient */
  #sliders = new Map();
  /** @type {Map<HeadAxis, Slider>} */ #head = new Map();
  /** @type {string | null} */ #chosen = null;

  /**
   * @param {HTMLElement} element contains `[data-presets]`, `[data-groups]`, `[data-linked]`,
   *   `[data-blinking]`
   * @param {import("../input/face.js").Face} face
   * @param {() => void} onChange called after the face has been changed here
   */
  constructor(element, face, onChange) {
    this.#document = element.ownerDocument;
    this.#presets = find(element, "[data-presets]");
    this.#groups = find(element, "[data-groups]");
    this.#linked = find(element, "[data-linked]");
    this.#face = face;
    this.#onChange = onChange;
    this.#linked.addEventListener("change", () => this.#showLinks());
    /** @type {HTMLInputElement} */
    const blinking = find(element, "[data-blinking]");
    blinking.addEventListener("change", () => {
      face.blinking = blinking.checked;
    });
    this.#presets.replaceChildren(
      ...[...Object.keys(PRESETS), ...Object.keys(PERFORMANCES)].map((name) =>
        this.#presetButton(name),
      ),
    );
  }

  /**
   * Make a slider for each coefficient.
   *
   * @param {readonly string[]} names the avatar's coefficients, in its order
   * @param {readonly [number, number]} range smallest and largest value
   */
  setNames(names, range = [0, 1]) {
    const unchanged =
      names.length === this.#sliders.size && names.every((name) => this.#sliders.has(name));
    if (unchanged) return;
    this.#sliders.clear();
    const groups = groupCoefficients(names).map(({ title, controls }) =>
      this.#group(
        title,
        controls.map((control) => this.#coefficientRow(control, range)),
      ),
    );
    const head = this.#group(
      "Head",
      HEAD_CONTROLS.map((control) => this.#headRow(control)),
    );
    this.#groups.replaceChildren(...groups, head);
    /** @type {HTMLDetailsElement} */ (find(this.#groups, "details")).open = true;
    this.#showLinks();
  }

  /** Move the sliders to the face's values, as after a preset or a release. */
  refresh() {
    for (const [name, { input, output }] of this.#sliders) {
      if (this.#document.activeElement !== input || !this.#face.driving)
        setSlider(input, output, this.#face.goal[name] ?? 0);
    }
    for (const [axis, { input, output }] of this.#head) {
      setAngle(input, output, this.#face.head[axis]);
    }
    if (!this.#face.driving) this.#choose(null);
  }

  /** @param {string} name */
  #presetButton(name) {
    const button = this.#document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.dataset.preset = name;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (name in PERFORMANCES) this.#face.perform(PERFORMANCES[name]);
      else this.#face.become(this.#known(PRESETS[name]));
      this.#choose(name);
      this.refresh();
      this.#onChange();
    });
    return button;
  }

  /**
   * Leave out the coefficients that this avatar does not have.
   *
   * @param {import("../connection/messages.js").Expression} expression
   */
  #known(expression) {
    return Object.fromEntries(
      Object.entries(expression).filter(([name]) => this.#sliders.has(name)),
    );
  }

  /** @param {string | null} name */
  #choose(name) {
    if (name === this.#chosen) return;
    this.#chosen = name;
    for (const button of this.#presets.children) {
      button.setAttribute("aria-pressed", String(button.textContent === name));
    }
  }

  /**
   * @param {string} title
   * @param {HTMLElement[]} rows
   */
  #group(title, rows) {
    const details = this.#document.createElement("details");
    details.name = "coefficients"; // the browser keeps only one of them open at a time
    const summary = this.#document.createElement("summary");
    summary.textContent = title;
    details.append(summary, ...rows);
    return details;
  }

  /**
   * @param {Control} control
   * @param {readonly [number, number]} range
   */
  #coefficientRow(control, [min, max]) {
    const slider = this.#slider(control.label, { min, max, step: 0.01 });
    const { row, input } = slider;
    input.dataset.coefficient = control.name;
    input.addEventListener("input", () => this.#moved(control, Number(input.value)));
    row.addEventListener("dblclick", () => this.#moved(control, 0));
    this.#sliders.set(control.name, { ...slider, control });
    return row;
  }

  /** @param {{axis: HeadAxis, label: string, limit_deg: number}} control */
  #headRow({ axis, label, limit_deg }) {
    const limits = { min: -limit_deg, max: limit_deg, step: 0.5 };
    const { row, input, output } = this.#slider(label, limits);
    input.dataset.head = axis;
    input.addEventListener("input", () => {
      this.#face.turnHead({ [axis]: Number(input.value) * DEGREE });
      setAngle(input, output, this.#face.head[axis]);
      this.#onChange();
    });
    setAngle(input, output, 0);
    this.#head.set(axis, { input, output });
    return row;
  }

  /**
   * @param {string} label
   * @param {{min: number, max: number, step: number}} limits
   * @returns {SliderRow}
   */
  #slider(label, { min, max, step }) {
    const row = this.#document.createElement("label");
    const name = this.#document.createElement("span");
    const input = this.#document.createElement("input");
    const output = this.#document.createElement("output");
    row.className = "slider";
    name.textContent = label;
    Object.assign(input, { type: "range", min, max, step, value: 0 });
    row.append(name, input, output);
    setSlider(input, output, 0);
    return { row, name, input, output };
  }

  /**
   * @param {Control} control
   * @param {number} value
   */
  #moved(control, value) {
    const values = { [control.name]: value };
    if (control.partner && this.#linked.checked) values[control.partner] = value;
    this.#face.set(values);
    for (const [name, moved] of Object.entries(values)) {
      const slider = this.#sliders.get(name);
      if (slider) setSlider(slider.input, slider.output, moved);
    }
    this.#choose(null);
    this.#onChange();
  }

  /** Linked sides share the slider of the first of each pair. */
  #showLinks() {
    const linked = this.#linked.checked;
    const seen = new Set();
    for (const { control, row, name } of this.#sliders.values()) {
      row.hidden = linked && control.partner !== null && seen.has(control.partner);
      name.textContent = rowLabel(control, linked);
      seen.add(control.name);
    }
  }
}

/**
 * Return the label of a slider, with the side if sides are not linked.
 *
 * @param {Control} control
 * @param {boolean} linked
 * @returns {string}
 */
export function rowLabel({ label, side, partner, name }, linked) {
  if (!partner || linked) return label;
  return name.startsWith("eyeLook") ? `${label}, ${side} eye` : `${label}, ${side}`;
}

/**
 * @param {HTMLInputElement} input
 * @param {HTMLOutputElement} output
 * @param {number} value
 */
function setSlider(input, output, value) {
  input.value = String(value);
  output.value = value ? value.toFixed(2).replace(/^0/, "") : "0";
  input.style.setProperty("--filled", String(value));
  input.classList.toggle("moved", value > 0);
}

/**
 * @param {HTMLInputElement} input
 * @param {HTMLOutputElement} output
 * @param {number} radians
 */
function setAngle(input, output, radians) {
  const degrees = radians / DEGREE;
  const limit = Number(input.max);
  input.value = String(degrees);
  output.value = `${Math.round(degrees)}°`;
  input.style.setProperty("--filled", String((degrees + limit) / (2 * limit)));
  input.classList.toggle("moved", Math.round(degrees) !== 0);
}
