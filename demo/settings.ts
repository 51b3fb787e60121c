/** The settings: what to run on, the size of a chunk, the weights' type and the decoding method. */
import type { DecodingMethod, DeviceName, RecognizerInfo, WeightDtype, WorkerLoadOptions } from 'rill-asr';
import { element, input, setText } from './elements.ts';
import { say } from './strings.ts';

const DEVICE_NAMES: readonly DeviceName[] = ['auto', 'webgpu', 'cpu'];
const WEIGHT_DTYPES: readonly WeightDtype[] = ['f32', 'f16', 'int8'];
const DECODING_METHODS: readonly DecodingMethod[] = ['ctc_greedy', 'ctc_beam', 'greedy_search', 'modified_beam_search'];

/** Feature frames beyond its own that the last frame of a chunk sees, in milliseconds. */
const LOOKAHEAD_MS = 50;

/** Threads on the CPU, which many voices share. */
const MOST_THREADS = 4;

export interface SettingsHandlers {
  /** Another size of a chunk, which a model takes at any time. */
  onChunk: () => void;
  /** What a model has to be loaded anew for. */
  onReload: () => void;
}

export class Settings {
  readonly #chunk = input('chunk');
  readonly #device = element('device', HTMLSelectElement);
  readonly #dtype = element('dtype', HTMLSelectElement);
  readonly #method = element('method', HTMLSelectElement);

  constructor({ onChunk, onReload }: SettingsHandlers) {
    this.#chunk.addEventListener('input', () => {
      this.sayAgain();
      onChunk();
    });
    for (const select of [this.#device, this.#dtype, this.#method]) {
      select.addEventListener('change', onReload);
    }
  }

  /** Encoder frames of a chunk. */
  get chunkFrames(): number {
    return Number(this.#chunk.value);
  }

  /** What to run on. */
  get device(): DeviceName {
    return DEVICE_NAMES.find((each) => each === this.#device.value) ?? 'auto';
  }

  /** Asks for whichever engine there is, from the next load on. */
  askForAuto(): void {
    this.#device.value = 'auto';
  }

  /** What the settings ask for. */
  get options(): WorkerLoadOptions {
    return {
      device: this.device,
      dtype: WEIGHT_DTYPES.find((each) => each === this.#dtype.value) ?? 'auto',
      decodingMethod: DECODING_METHODS.find((each) => each === this.#method.value),
      chunkFrames: this.chunkFrames,
      // Only pages that are isolated from others can share memory with threads.
      ...(crossOriginIsolated && { threads: Math.min(MOST_THREADS, navigator.hardwareConcurrency) }),
    };
  }

  /** Offers the methods that a model has heads for. */
  showModel({ sizes, method }: RecognizerInfo): void {
    const methods = DECODING_METHODS.filter((each) => (each.startsWith('ctc') ? sizes.hasCtc : sizes.transducer));
    this.#method.replaceChildren(...methods.map((each) => new Option(each, each)));
    this.#method.value = method ?? '';
    this.sayAgain();
  }

  /** Says how long a chunk is, in the language that the page speaks now. */
  sayAgain(): void {
    const frames = this.chunkFrames;
    setText('chunk-value', say('chunkValue', { frames, ms: 40 * frames + LOOKAHEAD_MS }));
  }
}
