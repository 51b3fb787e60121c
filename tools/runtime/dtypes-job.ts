/** What f16 and int8 cost: the same utterances through the same weights in each, beside f32. */
import { runBatch } from '../../src/encoder/batch.ts';
import { RnnEncoder } from '../../src/encoder/encoder.ts';
import { ENCODER_OUT } from '../../src/encoder/workspace.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { Search } from '../../src/recognizer/search.ts';
import type { JobContext } from './jobs.ts';

export interface DtypesInput {
  /** With matrices in f32. */
  model: ModelFiles;
  /** (utterances, feature frames, num_features), padded. */
  features: Float32Array<ArrayBuffer>;
  lengths: number[];
}

/** How far an output lies from the same in f32. */
export interface Difference {
  largest: number;
  /** Sum of squares, and how many values there are: a root mean square over more than one batch. */
  squares: number;
  count: number;
}

export interface DtypeOutput {
  dtype: WeightDtype;
  /** GPU memory of weights, those of the head included. */
  weightBytes: number;
  texts: string[];
  /** By the name of the output: `encoder_out`, and what the model's search reads. */
  differences: Record<string, Difference>;
}

/** One dtype's texts, and the values of each step, in the order of the steps. */
async function runDtype({ gpu }: JobContext, { model: files, features, lengths }: DtypesInput, dtype: WeightDtype) {
  const model = openModel(files);
  const before = gpu.memory.get('weights') ?? 0;
  const encoder = await RnnEncoder.create(gpu, model, { maxStreams: lengths.length, dtype });
  try {
    const search = await Search.attach(encoder, model, {});
    const weightBytes = (gpu.memory.get('weights') ?? 0) - before;
    const createDecoder = search.decoders();
    const decoders = lengths.map(() => createDecoder());
    const names = [ENCODER_OUT, search.input];
    const values = new Map<string, Float32Array[]>(names.map((name) => [name, []]));
    // Steps of a fixed size, so that those of one dtype are those of the others.
    const options = { chunkFrames: encoder.capacity.maxFrames };
    await runBatch(encoder, features, lengths, options, names, (utterance, _, { outputs }) => {
      decoders[utterance].accept(outputs[search.input]);
      names.forEach((name) => values.get(name)?.push(outputs[name]));
    });
    const texts = decoders.map(({ tokens }) => {
      const ids = tokens.map(({ id }) => id);
      return model.tokens?.text(ids) ?? ids.join(' ');
    });
    return { dtype, weightBytes, texts, values };
  } finally {
    encoder.dispose();
  }
}

function difference(actual: readonly Float32Array[], expected: readonly Float32Array[]): Difference {
  const sum = { largest: 0, squares: 0, count: 0 };
  for (const [step, values] of expected.entries()) {
    for (const [i, value] of values.entries()) {
      const off = Math.abs(actual[step][i] - value);
      sum.largest = Math.max(sum.largest, off);
      sum.squares += off * off;
    }
    sum.count += values.length;
  }
  return sum;
}

export async function dtypes(context: JobContext, input: DtypesInput): Promise<DtypeOutput[]> {
  const outputs: DtypeOutput[] = [];
  let exact: Map<string, Float32Array[]> | undefined;
  for (const dtype of WEIGHT_DTYPES) {
    const { values, ...output } = await runDtype(context, input, dtype);
    // f32 comes first.
    const reference = (exact ??= values);
    const differences = [...values].map(
      ([name, steps]) => [name, difference(steps, reference.get(name) ?? [])] as const,
    );
    outputs.push({ ...output, differences: Object.fromEntries(differences) });
    context.emit({ type: 'progress', done: outputs.length, total: WEIGHT_DTYPES.length });
  }
  return outputs;
}
