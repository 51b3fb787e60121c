/** Waveform and log-mel spectrogram of the seconds that the axis shows, words and keywords marked. */
import { colour, drawRing, NIGHT, openSurface, shade, type Area, type Surface } from './canvas.ts';
import { SECONDS, type TimeAxis } from './time-axis.ts';

/** Columns a second: one for each feature frame. */
const RATE = 100;
const COLUMNS = SECONDS * RATE;
/** Log-mel values that are drawn darkest and lightest. */
const [LOWEST, HIGHEST] = [-14, 2];
/** Of the height. */
const WAVE_SHARE = 0.28;
const LABEL_HEIGHT = 20;

interface Mark {
  text: string;
  start: number;
  end: number;
  isKeyword: boolean;
}

export class Timeline {
  readonly #canvas: HTMLCanvasElement;
  readonly #axis: TimeAxis;
  readonly #spectrogram = document.createElement('canvas');
  readonly #peaks = new Float32Array(COLUMNS);
  #marks: Mark[] = [];
  /** Feature frames and peaks so far. */
  #frames = 0;
  #peakCount = 0;
  #peak = 0;
  #samples = 0;

  constructor(canvas: HTMLCanvasElement, axis: TimeAxis) {
    this.#canvas = canvas;
    this.#axis = axis;
    this.#spectrogram.width = COLUMNS;
    this.#spectrogram.height = 80;
  }

  /** @param numFeatures rows of the spectrogram from now on; as many as before by default */
  clear(numFeatures = this.#spectrogram.height): void {
    // Setting the size clears the canvas.
    this.#spectrogram.height = numFeatures;
    this.#spectrogram.width = COLUMNS;
    this.#peaks.fill(0);
    this.#frames = this.#peakCount = this.#samples = this.#peak = 0;
    this.#marks = [];
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
    this.#axis.reach(this.#peakCount / RATE);
  }

  /** @param features (frames, num_features) */
  addFeatures(features: Float32Array): void {
    const bins = this.#spectrogram.height;
    const context = this.#spectrogram.getContext('2d');
    for (let start = 0; start < features.length; start += bins) {
      const column = new ImageData(1, bins);
      for (let bin = 0; bin < bins; bin++) {
        const share = (features[start + bin] - LOWEST) / (HIGHEST - LOWEST);
        column.data.set([...shade(share), 255], 4 * (bins - 1 - bin));
      }
      context?.putImageData(column, this.#frames++ % COLUMNS, 0);
    }
    this.#axis.reach(this.#frames / RATE);
  }

  setMarks(marks: Mark[]): void {
    this.#marks = marks;
  }

  draw(): void {
    const surface = openSurface(this.#canvas);
    if (!surface) {
      return;
    }
    const { height } = surface;
    const wave = WAVE_SHARE * height;
    const bands = { ...this.#axis.span(surface), top: wave, height: height - wave };
    this.#axis.drawGrid({ ...surface, height: wave });
    this.#drawWave(surface, wave);
    this.#drawBands(surface, bands);
    this.#drawMarks(surface, bands);
  }

  #drawWave(surface: Surface, height: number): void {
    const { context } = surface;
    const step = this.#axis.span(surface).width / COLUMNS;
    context.fillStyle = colour('--accent');
    for (let column = Math.floor(this.#axis.first * RATE); column < this.#peakCount; column++) {
      const tall = Math.max(1, Math.min(1, 1.5 * this.#peaks[column % COLUMNS]) * (height - 6));
      context.fillRect(this.#axis.x(surface, column / RATE), (height - tall) / 2, Math.max(1, step), tall);
    }
  }

  #drawBands({ context }: Surface, area: Area): void {
    context.fillStyle = NIGHT;
    context.fillRect(area.left, area.top, area.width, area.height);
    const first = Math.floor(this.#axis.first * RATE);
    drawRing(context, this.#spectrogram, this.#frames, first, area);
    context.fillStyle = colour('--dim');
    context.textAlign = 'right';
    context.textBaseline = 'top';
    context.fillText(String(this.#spectrogram.height), area.left - 8, area.top);
    context.textBaseline = 'bottom';
    context.fillText('1', area.left - 8, area.top + area.height);
  }

  #drawMarks(surface: Surface, area: Area): void {
    const { context } = surface;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    let [row, taken] = [0, -Infinity];
    for (const { text, start, end, isKeyword } of this.#marks.filter((mark) => mark.end >= this.#axis.first)) {
      const left = Math.max(area.left, this.#axis.x(surface, start));
      const right = Math.max(left + 2, this.#axis.x(surface, end));
      context.fillStyle = isKeyword ? 'rgb(255 255 255 / 0.22)' : 'rgb(255 255 255 / 0.1)';
      context.fillRect(left, area.top, right - left, area.height);
      // A word that would hide the one before goes below it.
      row = left < taken && row === 0 ? 1 : 0;
      taken = left + context.measureText(text).width + 12;
      const top = area.top + row * LABEL_HEIGHT;
      context.fillStyle = isKeyword ? '#fff' : 'rgb(255 255 255 / 0.75)';
      context.fillRect(left, top, taken - left, LABEL_HEIGHT - 1);
      context.fillStyle = '#0b2440';
      context.fillText(text, left + 6, top + LABEL_HEIGHT / 2);
    }
  }
}
