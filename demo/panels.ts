/** Everything there is to see of a stream: its level, its words, charts over one time axis, states and figures. */
import type { StreamUpdate, Waveform } from 'rill-asr';
import { Chart } from './chart.ts';
import { button, element, setText } from './elements.ts';
import { Heard } from './heard.ts';
import { Level } from './level.ts';
import type { Speed } from './speed.ts';
import { StatesView } from './states.ts';
import type { Status } from './status.ts';
import { TimeAxis } from './time-axis.ts';
import { Timeline } from './timeline.ts';
import { TranscriptButtons } from './transcript-buttons.ts';

const canvas = (id: string) => element(id, HTMLCanvasElement);
const milliseconds = (ms: number) => `${ms.toFixed(1)} ms`;

export interface PanelsParts {
  states: StatesView;
  speed: Speed;
  status: Status;
}

export class Panels {
  readonly states: StatesView;
  readonly transcript: TranscriptButtons;
  readonly #speed: Speed;
  readonly #level = new Level(element('level', HTMLMeterElement), button('microphone'));
  readonly #heard = new Heard();
  readonly #axis = new TimeAxis();
  readonly #timeline = new Timeline(canvas('timeline'), this.#axis);
  readonly #probabilities = new Chart(canvas('probabilities'), { mark: 'points', most: 100 });
  readonly #chunkTimes = new Chart(canvas('chunk-times'), { mark: 'bars' });
  readonly #seconds = canvas('seconds');
  /** Tokens of the segment whose probabilities are drawn. */
  #drawn = { segment: -1, tokens: 0 };
  #isStale = true;

  constructor({ states, speed, status }: PanelsParts) {
    this.states = states;
    this.#speed = speed;
    this.transcript = new TranscriptButtons(() => this.#heard.segments, status);
    const redraw = () => {
      this.#isStale = true;
    };
    const resized = new ResizeObserver(redraw);
    document.querySelectorAll('canvas').forEach((each) => {
      resized.observe(each);
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    this.#drawAlways();
  }

  /** All that was heard of the stream. */
  get text(): string {
    return this.#heard.text;
  }

  /** Draws anew, with what is written in the charts in the language that the page speaks now. */
  sayAgain(): void {
    this.#isStale = true;
  }

  /** @param isBundled whether it is the model whose phrases the page can name */
  setModel(isBundled: boolean): void {
    this.#heard.setModel(isBundled);
  }

  /**
   * Makes room for another stream.
   *
   * @param numFeatures rows of its spectrogram; as many as before by default
   * @param label what is said in it, where that is known
   */
  clear(numFeatures?: number, label?: string): void {
    this.#heard.clear(label);
    this.transcript.reveal(false);
    this.#axis.clear();
    this.#timeline.clear(numFeatures);
    this.states.clear();
    this.#probabilities.clear();
    this.#chunkTimes.clear();
    this.#drawn = { segment: -1, tokens: 0 };
    this.#isStale = true;
  }

  addAudio({ samples, sampleRate }: Waveform): void {
    this.#level.add(samples);
    this.#timeline.addAudio(samples, sampleRate);
    this.#isStale = true;
  }

  /** No more sound comes. */
  endAudio(): void {
    this.#level.clear();
  }

  /** @param features (frames, num_features) */
  addFeatures(features: Float32Array): void {
    this.#timeline.addFeatures(features);
    this.#isStale = true;
  }

  show({ result, stats, chunk, states }: StreamUpdate): void {
    this.#heard.add(result);
    this.transcript.reveal(this.#heard.text !== '');
    this.#timeline.setMarks(this.#heard.marks);
    this.#chartTokens(result);
    this.#showChunk(chunk);
    this.#speed.show(stats.realTimeFactor);
    setText('rtf', stats.realTimeFactor.toFixed(3));
    setText('audio', `${stats.audioSeconds.toFixed(1)} s`);
    if (states) {
      this.states.add(states);
    }
    this.#isStale = true;
  }

  #chartTokens({ segment, tokens, timestamps, tokenLogProbs }: StreamUpdate['result']): void {
    if (segment !== this.#drawn.segment) {
      this.#drawn = { segment, tokens: 0 };
    }
    for (; this.#drawn.tokens < tokens.length; this.#drawn.tokens++) {
      this.#probabilities.add(timestamps[this.#drawn.tokens], 100 * Math.exp(tokenLogProbs[this.#drawn.tokens]));
    }
  }

  #showChunk({ end, seconds, computeMs, readbackMs, latencyMs }: StreamUpdate['chunk']): void {
    if (seconds > 0) {
      this.#chunkTimes.add(end, computeMs + readbackMs, seconds);
      setText('compute', milliseconds(computeMs));
      setText('readback', milliseconds(readbackMs));
    }
    if (latencyMs !== undefined) {
      setText('latency', `${latencyMs.toFixed(0)} ms`);
    }
  }

  /** Draws what has changed, once a screen refresh. */
  #drawAlways(): void {
    requestAnimationFrame(() => {
      if (this.#isStale) {
        this.#isStale = false;
        this.#timeline.draw();
        this.#probabilities.draw(this.#axis);
        this.#chunkTimes.draw(this.#axis);
        this.#axis.draw(this.#seconds);
        this.states.draw();
      }
      this.#drawAlways();
    });
  }
}
