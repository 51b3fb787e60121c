/** Waveform and log-mel spectrogram of the last seconds, words and keywords marked, all on one time axis. */
import { drawRing, fitCanvas, heat } from './elements.ts';

const SECONDS = 10;
/** Columns a second: one for each feature frame. */
const RATE = 100;
const COLUMNS = SECONDS * RATE;
/** Log-mel values that are drawn black and white. */
const [LOWEST, HIGHEST] = [-14, 2];
/** On black in both themes. */
const WAVE_COLOUR = '#5eb0ff';

interface Mark {
  text: string;
  start: number;
  end: number;
  isKeyword: boolean;
}

export class Timeline {
  readonly #canvas: HTMLCanvasElement;
  readonly #spectrogram = document.createElement('canvas');
  readonly #peaks = new Float32Array(COLUMNS);
  #marks: Mark[] = [];
  /** Feature frames and peaks so far. */
  #frames = 0;
  #peakCount = 0;
  #peak = 0;
  #samples = 0;
  #drawn = false;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#spectrogram.width = COLUMNS;
    this.#spectrogram.height = 80;
    new ResizeObserver(() => (this.#drawn = false)).observe(canvas);
  }

  /** @param numFeatures rows of the spectrogram from now on; as many as before by default */
  clear(numFeatures = this.#spectrogram.height): void {
    // Setting the size clears the canvas.
    this.#spectrogram.height = numFeatures;
    this.#spectrogram.width = COLUMNS;
    this.#peaks.fill(0);
    this.#frames = this.#peakCount = this.#samples = this.#peak = 0;
    this.#marks = [];
    this.#drawn = false;
  }

  addAudio(samples: Float32Array, sampleRate: number): void {
    for (const sample of samples) {
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      this.#samples++;
      if (this.#samples >= ((this.#peakCount + 1) * sampleRate) / RATE) {
        this.#peaks[this.#peakCount++ % COLUMNS] = this.#peak;
        this.#peak = 0;
      }
    }
    this.#drawn = false;
  }

  /** @param features (frames, num_features) */
  addFeatures(features: Float32Array): void {
    const bins = this.#spectrogram.height;
    const context = this.#spectrogram.getContext('2d');
    for (let start = 0; start < features.length; start += bins) {
      const column = new ImageData(1, bins);
      for (let bin = 0; bin < bins; bin++) {
        const share = (features[start + bin] - LOWEST) / (HIGHEST - LOWEST);
        column.data.set([...heat(share), 255], 4 * (bins - 1 - bin));
      }
      context?.putImageData(column, this.#frames++ % COLUMNS, 0);
    }
    this.#drawn = false;
  }

  setMarks(marks: Mark[]): void {
    this.#marks = marks;
    this.#drawn = false;
  }

  draw(): void {
    if (this.#drawn) {
      return;
    }
    this.#drawn = true;
    const context = fitCanvas(this.#canvas);
    const { width, height } = this.#canvas;
    const now = Math.max(this.#frames, this.#peakCount);
    const first = Math.max(0, now - COLUMNS);
    const x = (column: number) => ((column - first) / COLUMNS) * width;
    const wave = height * 0.3;
    context.clearRect(0, 0, width, height);
    context.fillStyle = WAVE_COLOUR;
    for (let column = first; column < this.#peakCount; column++) {
      const tall = Math.max(1, Math.min(1, 1.5 * this.#peaks[column % COLUMNS]) * wave);
      context.fillRect(x(column), (wave - tall) / 2, Math.max(1, width / COLUMNS), tall);
    }
    drawRing(context, this.#spectrogram, this.#frames, first, { top: wave, width, height: height - wave });
    this.#drawMarks(context, (seconds) => x(seconds * RATE), wave);
  }

  #drawMarks(context: CanvasRenderingContext2D, x: (seconds: number) => number, top: number): void {
    const scale = window.devicePixelRatio;
    context.font = `${13 * scale}px system-ui`;
    context.textBaseline = 'top';
    let [row, taken] = [0, -Infinity];
    for (const { text, start, end, isKeyword } of this.#marks) {
      const left = x(start);
      const right = Math.max(left + 2 * scale, x(end));
      context.fillStyle = isKeyword ? 'rgb(255 214 10 / 0.35)' : 'rgb(255 255 255 / 0.18)';
      context.fillRect(left, top, right - left, this.#canvas.height - top);
      // A word that would hide the one before goes below it.
      row = left < taken && row === 0 ? 1 : 0;
      taken = left + context.measureText(text).width + 6 * scale;
      const y = top + row * 20 * scale;
      context.fillStyle = 'rgb(0 0 0 / 0.7)';
      context.fillRect(left, y, taken - left, 20 * scale);
      context.fillStyle = '#fff';
      context.fillText(text, left + 3 * scale, y + 3 * scale);
    }
  }
}
