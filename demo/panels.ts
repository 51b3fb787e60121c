/** Everything there is to see of a stream: its words, its picture, charts, states and figures. */
import type { StreamUpdate, Waveform } from 'rill-asr';
import { Chart } from './charts.ts';
import { element, setText } from './elements.ts';
import { Heard } from './heard.ts';
import { StatesView } from './states.ts';
import { Timeline } from './timeline.ts';

const milliseconds = (ms: number) => `${ms.toFixed(1)} ms`;

export class Panels {
  readonly states: StatesView;
  readonly #heard = new Heard();
  readonly #timeline = new Timeline(element('timeline', HTMLCanvasElement));
  readonly #probabilities = new Chart(
    element('probabilities', HTMLElement),
    [{ label: 'probability', colour: '--accent', points: true }],
    [0, 1],
  );
  readonly #chunkTimes = new Chart(element('chunk-times', HTMLElement), [
    { label: 'compute and readback', colour: '--accent', fill: 'rgb(80 150 255 / 0.25)' },
    { label: 'length', colour: '--second' },
  ]);
  /** Tokens of the segment whose probabilities are drawn. */
  #drawn = { segment: -1, tokens: 0 };

  constructor(states: StatesView) {
    this.states = states;
    this.#drawAlways();
  }

  /** All that was heard of the stream. */
  get text(): string {
    return this.#heard.text;
  }

  /**
   * Makes room for another stream.
   *
   * @param numFeatures rows of its spectrogram; as many as before by default
   * @param label what is said in it, where that is known
   */
  clear(numFeatures?: number, label?: string): void {
    this.#heard.clear(label);
    this.#timeline.clear(numFeatures);
    this.states.clear();
    this.#probabilities.clear();
    this.#chunkTimes.clear();
    this.#drawn = { segment: -1, tokens: 0 };
  }

  addAudio({ samples, sampleRate }: Waveform): void {
    this.#timeline.addAudio(samples, sampleRate);
  }

  /** @param features (frames, num_features) */
  addFeatures(features: Float32Array): void {
    this.#timeline.addFeatures(features);
  }

  show({ result, stats, chunk, states }: StreamUpdate): void {
    this.#heard.add(result);
    this.#timeline.setMarks(this.#heard.marks);
    this.#chartTokens(result);
    this.#showChunk(chunk);
    setText('rtf', stats.realTimeFactor.toFixed(3));
    setText('audio', `${stats.audioSeconds.toFixed(1)} s`);
    if (states) {
      this.states.add(states);
    }
  }

  #chartTokens({ segment, tokens, timestamps, tokenLogProbs }: StreamUpdate['result']): void {
    if (segment !== this.#drawn.segment) {
      this.#drawn = { segment, tokens: 0 };
    }
    for (; this.#drawn.tokens < tokens.length; this.#drawn.tokens++) {
      this.#probabilities.add(timestamps[this.#drawn.tokens], Math.exp(tokenLogProbs[this.#drawn.tokens]));
    }
  }

  #showChunk({ end, seconds, computeMs, readbackMs, latencyMs }: StreamUpdate['chunk']): void {
    if (seconds > 0) {
      this.#chunkTimes.add(end, computeMs + readbackMs, 1000 * seconds);
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
      this.#timeline.draw();
      this.states.draw();
      this.#probabilities.draw();
      this.#chunkTimes.draw();
      this.#drawAlways();
    });
  }
}
