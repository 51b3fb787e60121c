/** What f16 and int8 cost: the same utterances through the same weights in each, beside f32. */
import { runBatch } from '../../src/encoder/batch.ts';
import type { Encoder, EncoderOptions } from '../../src/encoder/encoder.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { ENCODER_OUT } from '../../src/encoder/outputs.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { Search } from '../../src/recognizer/search.ts';
import type { JobContext } from './jobs.ts';
import { batchesOf, heardText, type UtteranceBatch } from './utterances.ts';

export interface DtypesInput {
  /** With matrices in f32. */
  model: ModelFiles;
  /** Features of each utterance, (frames, num_features). */
  utterances: Float32Array<ArrayBuffer>[];
}

/** How far an output lies from the same in f32. */
export interface Difference {
  output: string;
  largest: number;
  rms: number;
}

export interface DtypeOutput {
  dtype: WeightDtype;
  /** Memory of weights, those of the head included. */
  weightBytes: number;
  texts: string[];
  /** Of `encoder_out`, and of what the model's search reads. */
  differences: Difference[];
}

/** Utterances side by side: their outputs are held until all dtypes have been through them. */
const BATCH_SIZE = 16;

/** The model in one dtype, what it has heard so far, and how far off it was. */
class Candidate {
  readonly dtype: WeightDtype;
  readonly encoder: Encoder;
  readonly weightBytes: number;
  readonly texts: string[] = [];
  readonly names: readonly string[];
  readonly #model: Model;
  readonly #search: Search;
  readonly #sums: { largest: number; squares: number; count: number }[];

  private constructor(model: Model, encoder: Encoder, search: Search, weightBytes: number) {
    this.dtype = encoder.dtype;
    this.encoder = encoder;
    this.weightBytes = weightBytes;
    this.names = [ENCODER_OUT, search.input];
    this.#model = model;
    this.#search = search;
    this.#sums = this.names.map(() => ({ largest: 0, squares: 0, count: 0 }));
  }

  static async load({ engine }: JobContext, model: Model, options: EncoderOptions): Promise<Candidate> {
    const weights = () => engine.memory.get('weights') ?? 0;
    const before = weights();
    const encoder = await engine.createEncoder(model, options);
    try {
      const search = await Search.attach(encoder, model, { greedySearchOn: 'cpu' });
      return new Candidate(model, encoder, search, weights() - before);
    } catch (error) {
      encoder.dispose();
      throw error;
    }
  }

  /** Hears a batch. @returns by output, the values of each step, in the order of the steps */
  async hear({ members, features, lengths }: UtteranceBatch): Promise<Float32Array[][]> {
    const createDecoder = this.#search.decoderFactory();
    const decoders = lengths.map(() => createDecoder());
    const values = this.names.map((): Float32Array[] => []);
    // Steps of a fixed size, so that those of one dtype are those of the others.
    const options = { chunkFrames: this.encoder.capacity.maxFrames };
    await runBatch(this.encoder, features, lengths, options, this.names, (lane, _, { outputs }) => {
      decoders[lane].accept(outputs[this.#search.input]);
      this.names.forEach((name, i) => values[i].push(outputs[name]));
    });
    members.forEach((n, lane) => {
      this.texts[n] = heardText(this.#model, decoders[lane]);
    });
    return values;
  }

  compare(actual: readonly Float32Array[][], expected: readonly Float32Array[][]): void {
    for (const [i, sum] of this.#sums.entries()) {
      for (const [step, values] of expected[i].entries()) {
        for (const [k, value] of values.entries()) {
          const off = Math.abs(actual[i][step][k] - value);
          sum.largest = Math.max(sum.largest, off);
          sum.squares += off * off;
        }
        sum.count += values.length;
      }
    }
  }

  get output(): DtypeOutput {
    const { dtype, weightBytes, texts } = this;
    const differences = this.#sums.map(({ largest, squares, count }, i) => {
      return { output: this.names[i], largest, rms: Math.sqrt(squares / Math.max(1, count)) };
    });
    return { dtype, weightBytes, texts, differences };
  }
}

/** The CPU computes in f32 and int8. */
const dtypesOn = ({ device }: Engine) => WEIGHT_DTYPES.filter((dtype) => device.kind === 'webgpu' || dtype !== 'f16');

export async function dtypes(context: JobContext, { model: files, utterances }: DtypesInput): Promise<DtypeOutput[]> {
  const model = openModel(files);
  const maxStreams = Math.min(BATCH_SIZE, utterances.length);
  const candidates: Candidate[] = [];
  try {
    // f32 comes first: the others are held against it.
    for (const dtype of dtypesOn(context.engine)) {
      candidates.push(await Candidate.load(context, model, { maxStreams, dtype }));
    }
    let done = 0;
    for (const batch of batchesOf(utterances, maxStreams, model.sizes.encoder.numFeatures)) {
      let exact: Float32Array[][] | undefined;
      for (const candidate of candidates) {
        const values = await candidate.hear(batch);
        candidate.compare(values, (exact ??= values));
      }
      done += batch.members.length;
      context.emit({ type: 'progress', done, total: utterances.length });
    }
    return candidates.map(({ output }) => output);
  } finally {
    candidates.forEach(({ encoder }) => {
      encoder.dispose();
    });
  }
}
