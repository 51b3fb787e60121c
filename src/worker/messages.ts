import type { ConvertOptions } from '../checkpoint/convert.ts';
import type { DecodingMethod } from '../decoder/methods.ts';
import type { DeviceInfo, Engine } from '../encoder/engine.ts';
import type { DeviceName, EngineOptions } from '../engine.ts';
import type { StateValues } from '../encoder/state.ts';
import type { RillErrorCode } from '../errors.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import type { LoadEvent } from '../model/fetch.ts';
import type { Model, ModelFiles } from '../model/model.ts';
import type { ModelSizes } from '../model/sizes.ts';
import type { RecognizerOptions } from '../recognizer/recognizer.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { KeywordSpotterOptions } from '../recognizer/spotter.ts';
import type { StreamStats } from '../recognizer/stream.ts';
import type { Waveform } from '../waveform/waveform.ts';

/** What a worker loads with: whatever can be posted. */
interface WorkerLoading extends Pick<EngineOptions, 'rehearse' | 'threads'> {
  /** `auto` by default: the GPU or the CPU, whichever is faster here. */
  device?: DeviceName;
  /** @internal As {@link KernelOptions.kernels}. */
  kernels?: EngineOptions['kernels'];
  /** As {@link FetchOptions.cache}: `true` by default. */
  cache?: boolean | string;
}

/** What a worker makes a recognizer with. */
export type WorkerRecognizerOptions = Omit<RecognizerOptions, 'onTensor'> & WorkerLoading;

/** What a worker makes a keyword spotter with. */
export type WorkerSpotterOptions = Omit<KeywordSpotterOptions, 'onTensor'> & WorkerLoading;

/** What a worker has loaded. */
export interface RecognizerInfo {
  /** What it runs on, and why. */
  device: DeviceInfo;
  /** What its matrices are kept as. */
  dtype: WeightDtype;
  /** Widths of the network. */
  sizes: ModelSizes;
  /** Parameters of each part of the network. */
  parameters: Record<string, number>;
  /** Absent for a keyword spotter. */
  method?: DecodingMethod;
  /** Encoder frames of a chunk. */
  chunkFrames: number;
  /** The most encoder frames that a chunk can be set to. */
  maxFrames: number;
  /** Seconds from one encoder frame to the next. */
  secondsPerFrame: number;
  /** Mel bins. */
  numFeatures: number;
  /** Bytes by what they are for. */
  memory: Record<string, number>;
  /** The keyword file of the model folder. */
  keywords: string;
}

export interface WorkerStreamOptions {
  /** Phrases to favour, as the text of a hotwords file; not for keyword spotters. */
  hotwords?: string;
  /** As the text of a keyword file; the model folder's own by default. */
  keywords?: string;
  /** Post the log-mel features as they are made. */
  features?: boolean;
  /** Post h and c of this layer as they evolve. */
  stateLayer?: number;
}

/** What a chunk brought, posted after each. */
export interface StreamUpdate {
  /** What was heard in the current segment. */
  result: RecognitionResult;
  /** Nothing more comes in this stream: its input has ended and all of it is decoded. */
  ended: boolean;
  /** What the stream has cost so far. */
  stats: StreamStats;
  /** Seconds of audio that have come and are not decoded yet: where they grow, the machine does not keep up. */
  backlogSeconds: number;
  /** The chunk itself. */
  chunk: {
    /** Seconds from the start of the stream to its end. */
    end: number;
    /** Its length. */
    seconds: number;
    /** Milliseconds that its step took on the device. */
    computeMs: number;
    /** Milliseconds from there until the results were read back. */
    readbackMs: number;
    /** From the capture of its last sample to this update; absent for audio without a moment of capture. */
    latencyMs?: number;
  };
  /** h (d_model) and c (rnn_hidden_size) of the layer that was asked for. */
  states?: StateValues;
}

/** What a conversion in the worker is given: dropped files, and what {@link ConvertOptions} may say besides. */
export type WorkerConvertOptions = Pick<
  ConvertOptions,
  'config' | 'tokens' | 'useAveragedModel' | 'dtype' | 'layers'
> & {
  /** As {@link ConvertOptions.normEpsFrom}. */
  normEpsFrom?: Blob;
};

/** What a worker has loaded, for verbs of its own. */
export interface WorkerModel {
  /** What it runs on. */
  engine: Engine;
  /** What is loaded. */
  model: Model;
}

/**
 * What a worker's own file may do for its page besides, by name: called with what is loaded, then with what the page
 * says. Arguments and answers are posted.
 */
export type WorkerVerbs = Readonly<Record<string, (loaded: WorkerModel, ...args: never[]) => unknown>>;

/** What a page can ask of a worker. */
export interface HostMethods {
  load(source: string | ModelFiles, options: WorkerRecognizerOptions): RecognizerInfo;
  loadSpotter(source: string | ModelFiles, options: WorkerSpotterOptions): RecognizerInfo;
  isSupported(device?: DeviceName): boolean;
  convert(files: Blob[], options: WorkerConvertOptions): ModelFiles;
  setChunkFrames(frames: number): void;
  open(stream: number, options: WorkerStreamOptions): void;
  push(stream: number, audio: Waveform): void;
  finish(stream: number): void;
  setKeywords(stream: number, keywords: string): void;
  setHotwords(stream: number, hotwords: string): void;
  setOptions(stream: number, options: Pick<WorkerStreamOptions, 'features' | 'stateLayer'>): void;
  close(stream: number): void;
  ask(verb: string, args: readonly unknown[]): unknown;
}

export type HostMethod = keyof HostMethods;

/** What a worker says of itself. */
export type HostEvent =
  | { type: 'ready' }
  | { type: 'progress'; call: number; event: LoadEvent }
  | { type: 'update'; stream: number; update: StreamUpdate }
  | { type: 'features'; stream: number; features: Float32Array }
  | { type: 'error'; stream: number; error: PostedError }
  | { type: 'device-lost'; error: PostedError }
  | { type: 'recovered'; info: RecognizerInfo }
  | { type: 'recovery-failed'; error: PostedError };

export type ToHost =
  | { [Method in HostMethod]: { call: number; method: Method; args: Parameters<HostMethods[Method]> } }[HostMethod]
  | { cancel: number }
  | { hello: true };

export type FromHost = { call: number; value: unknown } | { call: number; error: PostedError } | { event: HostEvent };

/** An error that can be posted: a {@link RillError}'s parts, or any other's words. */
export interface PostedError {
  message: string;
  code?: RillErrorCode;
  got?: string;
  expected?: string;
  remedy?: string;
  aborted?: boolean;
}
