/// <reference lib="esnext.disposable" preserve="true" />
/** Rill's public entry: what a page or a server imports. */
export type { KernelChoice, MethodName } from './webgpu/methods.ts';
export { RillError, type Complaint, type RillErrorCode } from './errors.ts';
export { readWav, type Waveform } from './waveform/wav.ts';
export { Resampler } from './waveform/resampler.ts';
export { FBANK_DEFAULTS, Fbank, fbank, type FbankOptions } from './features/fbank.ts';
export { openModel, type Model, type ModelFiles } from './model/model.ts';
export { fetchModel, type FetchOptions, type FileProgress, type LoadEvent } from './model/fetch.ts';
export type { ModelConfig } from './model/config.ts';
export { WEIGHT_DTYPES, type WeightDtype } from './model/dtypes.ts';
export { countParameters, encoderFrames, type EncoderSizes, type ModelSizes } from './model/sizes.ts';
export type { TensorInfo, TensorSource } from './model/tensors.ts';
export { TokenTable } from './model/tokens.ts';
export { blobSource, bytesSource, type ByteSource } from './checkpoint/bytes.ts';
export type { Checkpoint, ConvertOptions } from './checkpoint/convert.ts';
export {
  EXPORT_DTYPES,
  type ExportDtype,
  type ExportOptions,
  type SherpaOnnxFiles,
} from './checkpoint/export-options.ts';
export { convertCheckpoint, exportSherpaOnnx, openCheckpoint } from './checkpoint/on-demand.ts';
export type {
  Encoder,
  EncoderCapacity,
  EncoderOptions,
  StepInput,
  StepResult,
  TimedStep,
  TracedResult,
} from './encoder/encoder.ts';
export type { DeviceInfo, Engine, MemoryPart } from './encoder/engine.ts';
export {
  CTC_LOG_PROBS,
  CTC_TOKENS,
  ENCODER_OUT,
  GREEDY_TOKENS,
  JOINER_ENCODER_PROJ,
  type HeadOptions,
  type HeadOutput,
  type OutputName,
} from './encoder/outputs.ts';
export type { StateValues, StreamState } from './encoder/state.ts';
export { encodeBatch, findBatchSize, type BatchOptions, type EncodedBatch } from './encoder/batch.ts';
export { isExact } from './encoder/exactness.ts';
export { GpuContext, type AdapterDescription, type ContextOptions } from './webgpu/device/context.ts';
export type { KernelTime } from './webgpu/device/timer.ts';
export type { KernelStore } from './webgpu/device/kernel-store.ts';
export { WebGpuEncoder, type WebGpuEncoderOptions } from './webgpu/encoder.ts';
export { AutoEngine } from './auto-engine.ts';
export { WebGpuEngine } from './webgpu/engine.ts';
export type { KernelOptions } from './webgpu/options.ts';
export {
  DEVICE_NAMES,
  isSupported,
  openEngine,
  type DeviceName,
  type EngineOptions,
  type OpenedEngine,
} from './engine.ts';
export { WasmEngine } from './wasm/engine.ts';
export { TransducerJoiner } from './decoder/joiner.ts';
export type { DecodedToken, Decoder, SearchOptions } from './decoder/decoder.ts';
export { CtcGreedyDecoder } from './decoder/ctc-greedy.ts';
export { CtcBeamDecoder } from './decoder/ctc-beam.ts';
export { GreedySearchDecoder, GreedyTokensDecoder } from './decoder/transducer.ts';
export { ModifiedBeamSearchDecoder, type BeamSearchOptions } from './decoder/modified-beam-search.ts';
export { ContextGraph, type ContextPhrase } from './decoder/context-graph.ts';
export { DECODING_METHODS, type DecodingMethod } from './decoder/methods.ts';
export { ENDPOINT_DEFAULTS, type EndpointRule, type EndpointRules } from './decoder/endpoint.ts';
export { KeywordReport, type Keyword, type KeywordHit } from './decoder/keywords.ts';
export { parseKeywords } from './decoder/phrase-files.ts';
export { joinWords, type Word } from './text/words.ts';
export { OnlineRecognizer, type RecognizerOptions, type StreamOptions } from './recognizer/recognizer.ts';
export {
  Session,
  SessionManager,
  type CloseReason,
  type SessionInfo,
  type SessionManagerOptions,
  type SessionOptions,
} from './recognizer/sessions.ts';
export { KeywordSpotter, type KeywordSpotterOptions } from './recognizer/spotter.ts';
export type { RecognitionResult, TimedKeyword, TimedWord } from './recognizer/results.ts';
export type { LoadOptions } from './recognizer/load.ts';
export type { StreamingOptions } from './recognizer/options.ts';
export type { SearchSettings } from './recognizer/search.ts';
export { OnlineStream, type StreamStats } from './recognizer/stream.ts';
export type { WaveformChunk } from './waveform/chunk.ts';
export { Microphone, type MicrophoneChunk, type MicrophoneOptions } from './waveform/microphone.ts';
export {
  RecognizerClient,
  WorkerStream,
  type WorkerHandlers,
  type WorkerLoadHandlers,
  type WorkerLoadOptions,
  type WorkerSpotterLoadOptions,
  type WorkerStreamHandlers,
} from './worker/client.ts';
export { serveRecognizer } from './worker/host.ts';
export type {
  RecognizerInfo,
  StreamUpdate,
  WorkerAudio,
  WorkerConvertOptions,
  WorkerModel,
  WorkerRecognizerOptions,
  WorkerSpotterOptions,
  WorkerStreamOptions,
  WorkerVerbs,
} from './worker/messages.ts';
