// How loud a sound is, for a meter: from silence (0) to full scale (1).

const QUIETEST_DB = -60; // a quiet room
const LOUDEST_DB = -6; // peaks of a voice close to the microphone

/**
 * Return the deflection of a meter.
 *
 * @param {number} amplitude root mean square or peak, 1 at full scale
 * @returns {number} 0 to 1, linear in decibels, as loudness is heard
 */
export function meterLevel(amplitude) {
  if (!(amplitude > 0)) return 0;
  const level = (20 * Math.log10(amplitude) - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB);
  return Math.min(1, Math.max(0, level));
}

/**
 * Return the root mean square of samples.
 *
 * @param {Float32Array} samples
 * @returns {number}
 */
export function rootMeanSquare(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0);
  return samples.length ? Math.sqrt(power / samples.length) : 0;
}

/** Measures the sound of a stream. */
export class SoundLevel {
  #context;
  #source;
  #analyser;
  #samples;

  /** @param {MediaStream} stream with an audio track */
  constructor(stream) {
    this.#context = new AudioContext();
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024; // 21 ms at 48 kHz: a syllable is longer
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
  }

  /** @returns {number} the present level, 0 to 1; 0 until the user has touched the page */
  get value() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return meterLevel(rootMeanSquare(this.#samples));
  }

  /** Stop measuring. */
  close() {
    this.#source.disconnect();
    void this.#context.close();
  }
}
