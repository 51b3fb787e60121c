/**
 * The work of the command line that needs a GPU. It runs in Node or in a page, unchanged: values in, values
 * out, no files. What a job says on the way goes through `emit`.
 */
import type { Decoder } from '../../src/decoder/decoder.ts';
import type { DecodingMethod } from '../../src/decoder/methods.ts';
import { findBatchSize, runBatch, encodeBatch } from '../../src/encoder/batch.ts';
import type { EncoderOptions } from '../../src/encoder/encoder.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { CTC_LOG_PROBS, JOINER_ENCODER_PROJ } from '../../src/encoder/outputs.ts';
import type { StateValues } from '../../src/encoder/state.ts';
import { RillError } from '../../src/errors.ts';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { encoderFrames, type EncoderSizes } from '../../src/model/sizes.ts';
import { OnlineRecognizer, type RecognizerOptions } from '../../src/recognizer/recognizer.ts';
import { StreamReports } from '../../src/recognizer/reports.ts';
import type { TimedKeyword, TimedWord } from '../../src/recognizer/results.ts';
import { Search, type SearchSettings } from '../../src/recognizer/search.ts';
import { KeywordSpotter, type KeywordSpotterOptions } from '../../src/recognizer/spotter.ts';
import type { OnlineStream, StreamStats } from '../../src/recognizer/stream.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import type { MethodName } from '../../src/webgpu/methods.ts';
import type { KernelOptions } from '../../src/webgpu/kernel-options.ts';
import { ableKernels } from '../../src/webgpu/tuning/candidates.ts';
import { concatenated } from '../../src/waveform/arrays.ts';
import { bench } from './bench-job.ts';
import { dtypes } from './dtypes-job.ts';
import { trainBench } from '../training-speed/bench-job.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { withKernels } from './named-kernels.ts';
import { gradients } from './gradients-job.ts';
import { requireKeywords } from './keywords.ts';
import { teach, type TeachEvent } from './teach-job.ts';
import { TranscriptBuilder, type Transcript } from '../../src/recognizer/transcript.ts';
import { batchesOf, heardText } from './utterances.ts';

/** Utterances side by side in one step; more go in groups. */
const MAX_STREAMS = 128;

/** What jobs use where the adapter has it: times of single kernels. */
export const JOB_FEATURES: readonly GPUFeatureName[] = ['timestamp-query'];

/** What a job reports while it runs. */
export type JobEvent =
  | { type: 'word'; word: TimedWord }
  | { type: 'keyword'; hit: TimedKeyword }
  /** Steps, utterances, or seconds of a recording, of which the job does not know the total. */
  | { type: 'progress'; done: number; total?: number }
  | TeachEvent;

export interface JobContext {
  engine: Engine;
  /** Milliseconds that opening it took, where that was told. */
  openedMs?: number;
  emit: (event: JobEvent) => void;
}

export interface EncodeInput extends Pick<EncoderOptions, 'dtype'>, Pick<KernelOptions, 'kernels'> {
  model: ModelFiles;
  /** (utterances, feature frames, num_features), padded. */
  features: Float32Array<ArrayBuffer>;
  /** The last axis of the features. */
  featureWidth: number;
  lengths: number[];
  /** Encoder frames a step; absent: whole utterances. */
  chunkFrames?: number;
  /** h (num_layers, utterances, d_model) and c (num_layers, utterances, rnn_hidden_size) to start from. */
  states?: Readonly<Record<'h' | 'c', { shape: number[]; data: Float32Array<ArrayBuffer> }>>;
}

export interface EncodeOutput {
  /** (utterances, frames, d_model) */
  encoderOut: Float32Array<ArrayBuffer>;
  lengths: number[];
  frames: number;
  layers: number;
  h: Float32Array<ArrayBuffer>;
  c: Float32Array<ArrayBuffer>;
}

/** Layer-major (layers, utterances, width) from or to one (layers, width) array per utterance. */
function joinStates(perUtterance: readonly Float32Array[], layers: number): Float32Array<ArrayBuffer> {
  const width = perUtterance[0].length / layers;
  const joined = new Float32Array(layers * perUtterance.length * width);
  perUtterance.forEach((values, n) => {
    for (let l = 0; l < layers; l++) {
      joined.set(values.subarray(l * width, (l + 1) * width), (l * perUtterance.length + n) * width);
    }
  });
  return joined;
}

function splitStates(joined: Float32Array, layers: number, utterances: number): Float32Array<ArrayBuffer>[] {
  const width = joined.length / layers / utterances;
  return Array.from({ length: utterances }, (_, n) => {
    const values = new Float32Array(layers * width);
    for (let l = 0; l < layers; l++) {
      values.set(joined.subarray((l * utterances + n) * width, (l * utterances + n + 1) * width), l * width);
    }
    return values;
  });
}

function checkWidth({ sizes: { encoder } }: Model, featureWidth: number): void {
  if (featureWidth !== encoder.numFeatures) {
    throw new RillError('bad-argument', {
      got: `features ${featureWidth} wide`,
      expected: `${encoder.numFeatures} mel bins`,
      remedy: 'Make them with the feature options of this model.',
    });
  }
}

/** The model, and an encoder for a batch of features that are as wide as it takes them. */
async function openBatch(
  { engine }: JobContext,
  { model: files, featureWidth, lengths, chunkFrames, dtype, kernels }: EncodeInput,
) {
  const model = openModel(files);
  checkWidth(model, featureWidth);
  const encoder = await withKernels(engine, kernels).createEncoder(model, {
    maxStreams: Math.min(lengths.length, MAX_STREAMS),
    ...(chunkFrames !== undefined && { maxFrames: chunkFrames }),
    dtype,
  });
  return { model, encoder };
}

async function encode(context: JobContext, input: EncodeInput): Promise<EncodeOutput> {
  const { emit } = context;
  const { features, lengths } = input;
  const { encoder } = await openBatch(context, input);
  const { numEncoderLayers: layers } = encoder.sizes;
  try {
    const { states, ...batch } = await encodeBatch(encoder, features, lengths, {
      chunkFrames: input.chunkFrames,
      states: input.states && initialStates(input.states, encoder.sizes, lengths.length),
      onStep: (done, total) => emit({ type: 'progress', done, total }),
    });
    const [h, c] = (['h', 'c'] as const).map((key) =>
      joinStates(
        states.map((state) => state[key]),
        layers,
      ),
    );
    return { ...batch, layers, h, c };
  } finally {
    encoder.dispose();
  }
}

function initialStates(
  { h, c }: NonNullable<EncodeInput['states']>,
  { numEncoderLayers: layers, dModel, rnnHiddenSize }: EncoderSizes,
  utterances: number,
): StateValues[] {
  const fits = ({ shape }: { shape: number[] }, width: number) => {
    const alone = utterances === 1 && String(shape) === String([layers, width]);
    return alone || String(shape) === String([layers, utterances, width]);
  };
  if (!fits(h, dModel) || !fits(c, rnnHiddenSize)) {
    throw new RillError('bad-argument', {
      got: `h (${h.shape.join(', ')}) and c (${c.shape.join(', ')})`,
      expected: `h (${layers}, ${utterances}, ${dModel}) and c (${layers}, ${utterances}, ${rnnHiddenSize})`,
      remedy: 'Give states of this model, one for each utterance.',
    });
  }
  const cells = splitStates(c.data, layers, utterances);
  return splitStates(h.data, layers, utterances).map((values, n) => ({ h: values, c: cells[n] }));
}

export interface DecodeInput extends Omit<EncodeInput, 'states'> {
  /** As the model has it by default. */
  method?: DecodingMethod;
  options?: Omit<SearchSettings, 'decodingMethod'>;
}

/** What was heard in one utterance. */
export interface DecodeOutput {
  tokens: number[];
  /** Encoder frame of each token. */
  frames: number[];
  text: string;
  logProb: number;
}

/** From features to tokens: no tail padding, no endpoints. */
async function decode(context: JobContext, input: DecodeInput): Promise<DecodeOutput[]> {
  const { emit } = context;
  const { features, lengths, chunkFrames } = input;
  const { model, encoder } = await openBatch(context, input);
  try {
    const search = await Search.attach(encoder, model, { ...input.options, decodingMethod: input.method });
    const { input: name } = search;
    const createDecoder = search.decoderFactory();
    const decoders = lengths.map(() => createDecoder());
    const onStep = (done: number, total: number) => emit({ type: 'progress', done, total });
    await runBatch(encoder, features, lengths, { chunkFrames, onStep }, [name], (utterance, _, { outputs }) => {
      decoders[utterance].accept(outputs[name]);
    });
    return decoders.map((decoder) => decodeOutput(model, decoder));
  } finally {
    encoder.dispose();
  }
}

function decodeOutput(model: Model, decoder: Decoder): DecodeOutput {
  const { tokens, logProb } = decoder;
  return {
    tokens: tokens.map(({ id }) => id),
    frames: tokens.map(({ frame }) => frame),
    text: heardText(model, decoder),
    logProb,
  };
}

export interface DecodeAllInput extends Pick<DecodeInput, 'model' | 'method' | 'options'> {
  /** Features of each utterance, (frames, num_features). */
  utterances: Float32Array<ArrayBuffer>[];
  /** GPU memory, weights aside, that batches may take. */
  memoryBytes: number;
}

/** {@link decode} for any number of utterances: in batches of like length, as many side by side as pay on this adapter. */
async function decodeAll(
  { engine, emit }: JobContext,
  { model: files, method, options, utterances, memoryBytes }: DecodeAllInput,
): Promise<{ results: DecodeOutput[]; batchSize: number }> {
  const model = openModel(files);
  const { numFeatures } = model.sizes.encoder;
  const encoder = await engine.createEncoder(model, {
    maxStreams: Math.min(utterances.length, MAX_STREAMS),
  });
  try {
    const search = await Search.attach(encoder, model, { ...options, decodingMethod: method });
    const createDecoder = search.decoderFactory();
    const decoders = utterances.map(() => createDecoder());
    const batchSize = await findBatchSize(encoder, { memoryBytes });
    let done = 0;
    for (const { members, features, lengths } of batchesOf(utterances, batchSize, numFeatures)) {
      await runBatch(encoder, features, lengths, {}, [search.input], (lane, _, { outputs }) => {
        decoders[members[lane]].accept(outputs[search.input]);
      });
      done += members.length;
      emit({ type: 'progress', done, total: utterances.length });
    }
    return { results: decoders.map((decoder) => decodeOutput(model, decoder)), batchSize };
  } finally {
    encoder.dispose();
  }
}

export interface OutputsInput {
  model: ModelFiles;
  /** Features of each utterance, (frames, num_features). */
  utterances: Float32Array<ArrayBuffer>[];
}

/** Utterances side by side: their outputs are held until all are there. */
const OUTPUT_STREAMS = 16;

/** What the heads that a model has give of each utterance, by the name of the output: (frames, width). */
async function outputs(
  { engine, emit }: JobContext,
  { model: files, utterances }: OutputsInput,
): Promise<Record<string, Float32Array<ArrayBuffer>>[]> {
  const model = openModel(files);
  const { encoder: sizes, hasCtc, transducer } = model.sizes;
  const maxStreams = Math.min(utterances.length, OUTPUT_STREAMS);
  const encoder = await engine.createEncoder(model, { maxStreams });
  try {
    const names: string[] = [];
    if (hasCtc) {
      await encoder.provide(CTC_LOG_PROBS);
      names.push(CTC_LOG_PROBS);
    }
    if (transducer) {
      await encoder.provide(JOINER_ENCODER_PROJ);
      names.push(JOINER_ENCODER_PROJ);
    }
    const parts = utterances.map(() => names.map((): Float32Array[] => []));
    let done = 0;
    for (const { members, features, lengths } of batchesOf(utterances, maxStreams, sizes.numFeatures)) {
      await runBatch(encoder, features, lengths, {}, names, (lane, _, step) => {
        names.forEach((name, i) => parts[members[lane]][i].push(step.outputs[name]));
      });
      done += members.length;
      emit({ type: 'progress', done, total: utterances.length });
    }
    return parts.map((ofUtterance) => Object.fromEntries(names.map((name, i) => [name, concatenated(ofUtterance[i])])));
  } finally {
    encoder.dispose();
  }
}

export interface TraceInput {
  model: ModelFiles;
  /** (4n + 5, num_features) */
  features: Float32Array<ArrayBuffer>;
}

/** The embedding and every layer of one utterance, in one step. */
async function trace(
  { engine }: JobContext,
  { model: files, features }: TraceInput,
): Promise<{ stages: Float32Array<ArrayBuffer>[] }> {
  const model = openModel(files);
  const maxFrames = encoderFrames(features.length / model.sizes.encoder.numFeatures);
  const encoder = await engine.createEncoder(model, { maxStreams: 1, maxFrames });
  try {
    const [{ trace: stages }] = await encoder.trace([{ state: encoder.createState(), features }]);
    return { stages };
  } finally {
    encoder.dispose();
  }
}

/** Sound in pieces of any length, all of one rate. */
export type Audio = Iterable<Waveform> | AsyncIterable<Waveform>;

export interface TranscribeInput {
  model: ModelFiles;
  /** Read once, no further ahead than it is decoded. */
  audio: Audio;
  chunkFrames: number;
  options?: SearchSettings & Pick<RecognizerOptions, 'tailPaddingSeconds' | 'keywords'>;
}

export interface TranscribeOutput extends Transcript {
  stats: StreamStats;
  /** Milliseconds of each step, from submit to result. */
  chunkMs: number[];
}

/** A recording is cut at pauses only: no word is cut in two because it was long. */
export const RECORDING_ENDPOINTS: RecognizerOptions['endpointRules'] = {
  rule3: { mustContainNonSilence: true, minTrailingSilence: 0.5, minUtteranceLength: 20 },
};

/** What a recogniser and a spotter have in common. */
type Listener = Pick<OnlineRecognizer | KeywordSpotter, 'isReady' | 'decode'>;

/** Feeds a recording in pieces of 0.1 s, as a microphone would deliver them, and calls `onStep` after each step. */
async function listen(
  listener: Listener,
  stream: OnlineStream,
  audio: Audio,
  emit: JobContext['emit'],
  onStep: () => void,
): Promise<void> {
  const decodeReady = async () => {
    while (listener.isReady(stream)) {
      await listener.decode(stream);
      onStep();
    }
  };
  let seconds = 0;
  for await (const { samples, sampleRate } of audio) {
    const piece = Math.ceil(sampleRate / 10);
    for (let at = 0; at < samples.length; at += piece) {
      const next = samples.subarray(at, at + piece);
      stream.acceptWaveform({ samples: next, sampleRate });
      await decodeReady();
      seconds += next.length / sampleRate;
      emit({ type: 'progress', done: seconds });
    }
  }
  stream.inputFinished();
  await decodeReady();
}

async function transcribe({ engine, emit }: JobContext, input: TranscribeInput): Promise<TranscribeOutput> {
  const { chunkFrames, options } = input;
  const model = openModel(input.model);
  const recognizer = await OnlineRecognizer.create(engine, model, {
    ...options,
    endpointRules: RECORDING_ENDPOINTS,
    chunkFrames,
    maxStreams: 1,
  });
  const stream = recognizer.createStream();
  const reports = new StreamReports(recognizer, stream);
  const builder = new TranscriptBuilder();
  const chunkMs: number[] = [];
  let spentMs = 0;
  const report = () => {
    const result = reports.next();
    const { words, keywords } = result ? builder.accept(result) : { words: [], keywords: [] };
    words.forEach((word) => {
      emit({ type: 'word', word });
    });
    keywords.forEach((hit) => {
      emit({ type: 'keyword', hit });
    });
  };
  try {
    await listen(recognizer, stream, input.audio, emit, () => {
      const { computeMs, readbackMs } = stream.stats;
      chunkMs.push(computeMs + readbackMs - spentMs);
      spentMs = computeMs + readbackMs;
      report();
    });
    report();
    return { ...builder.transcript, stats: stream.stats, chunkMs };
  } finally {
    recognizer.dispose();
  }
}

export interface SpotInput extends Omit<TranscribeInput, 'options'> {
  options?: Pick<KeywordSpotterOptions, 'keywords' | 'keywordsScore' | 'keywordsThreshold' | 'head'>;
}

/** Keywords of one recording. */
async function spot(
  { engine, emit }: JobContext,
  input: SpotInput,
): Promise<{ keywords: TimedKeyword[]; stats: StreamStats }> {
  const { chunkFrames, options } = input;
  const model = openModel(input.model);
  requireKeywords(model, options?.keywords);
  const spotter = await KeywordSpotter.create(engine, model, { ...options, chunkFrames, maxStreams: 1 });
  const stream = spotter.createStream();
  let hits = 0;
  const report = () => {
    const heard = spotter.getResult(stream);
    heard.slice(hits).forEach((hit) => {
      emit({ type: 'keyword', hit });
    });
    hits = heard.length;
    return heard;
  };
  try {
    await listen(spotter, stream, input.audio, emit, report);
    return { keywords: report(), stats: stream.stats };
  } finally {
    spotter.dispose();
  }
}

/** The methods of kernels that the device can run a model by. */
async function methods(
  { engine }: JobContext,
  { model, dtype }: { model: ModelFiles; dtype: WeightDtype },
): Promise<MethodName[]> {
  return ableKernels(gpuOf(engine), openModel(model), dtype).map(({ matrices }) => matrices);
}

export const jobs = {
  encode,
  decode,
  decodeAll,
  outputs,
  trace,
  transcribe,
  spot,
  bench,
  dtypes,
  gradients,
  methods,
  trainBench,
  teach,
};

export type Jobs = typeof jobs;
export type JobName = keyof Jobs;
export type JobInput<Name extends JobName> = Parameters<Jobs[Name]>[1];
export type JobOutput<Name extends JobName> = Awaited<ReturnType<Jobs[Name]>>;
