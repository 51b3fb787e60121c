/// <reference lib="esnext.disposable" preserve="true" />
/** Rill's public entry: what a page or a server imports. */
export type * from './dom-types.ts';

// Speech to text.
export { OnlineRecognizer, type RecognizerOptions, type StreamOptions } from './recognizer/recognizer.ts';
export { KeywordSpotter, type KeywordSpotterOptions } from './recognizer/spotter.ts';
export type { LoadOptions } from './recognizer/load.ts';
export type { OnlineStream, StreamStats } from './recognizer/stream.ts';
export type { StreamSnapshot } from './recognizer/stream-snapshot.ts';
export type { RecognitionResult, TimedKeyword, TimedWord } from './recognizer/results.ts';
export type { SearchSettings } from './recognizer/search.ts';
export type { DecodingMethod } from './decoder/methods.ts';
export type { Keyword } from './decoder/keywords.ts';
export { parseKeywords } from './decoder/phrase-files.ts';
export type { EndpointRule } from './decoder/endpoint.ts';
export {
  SessionManager,
  type Session,
  type SessionManagerOptions,
  type SessionHandlers,
  type SessionOptions,
  type SessionStep,
} from './recognizer/sessions.ts';
export { RillError, type RillErrorCode } from './errors.ts';

// In a worker, so that the page never waits.
export {
  RecognizerClient,
  type WorkerHandlers,
  type WorkerLoadOptions,
  type WorkerSpotterLoadOptions,
  type WorkerStream,
  type WorkerStreamHandlers,
} from './worker/client.ts';
export { serveRecognizer } from './worker/host.ts';
export type {
  RecognizerInfo,
  StreamUpdate,
  WorkerConvertOptions,
  WorkerModel,
  WorkerVerbs,
} from './worker/messages.ts';

// Sound.
export type { Waveform } from './waveform/waveform.ts';
export { Microphone, type MicrophoneOptions } from './waveform/microphone.ts';
export { readWav } from './waveform/wav.ts';
export { Resampler } from './waveform/resampler.ts';
export { Fbank, type FbankOptions } from './features/fbank.ts';

// Models, and checkpoints that become models.
export { openModel, type Model, type ModelFiles } from './model/model.ts';
export { fetchModel, type FetchOptions, type LoadEvent } from './model/fetch.ts';
export type { ModelConfig } from './model/config.ts';
export type { EncoderSizes, ModelSizes } from './model/sizes.ts';
export type { WeightDtype } from './model/dtypes.ts';
export type { TokenTable } from './model/tokens.ts';
export { convertCheckpoint, exportSherpaOnnx } from './checkpoint/on-demand.ts';
export type { ConvertOptions } from './checkpoint/convert.ts';
export type { ByteSource } from './checkpoint/bytes.ts';
export type { ExportOptions, SherpaOnnxFiles } from './checkpoint/export-options.ts';

// What it runs on, and the encoder alone.
export { isSupported, openEngine, type DeviceName, type EngineOptions } from './engine.ts';
export type { DeviceInfo, Engine, GpuDevice } from './encoder/engine.ts';
export type { Encoder, EncoderCapacity, EncoderOptions, StepInput, StepResult } from './encoder/encoder.ts';
export type { OutputName } from './encoder/outputs.ts';
export type { StateValues, StreamState } from './encoder/state.ts';
export { isExact } from './encoder/exactness.ts';
export type { KernelStore } from './webgpu/device/kernel-store.ts';
