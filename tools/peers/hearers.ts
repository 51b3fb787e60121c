/** From samples to text: Rill's recogniser and sherpa-onnx, native and in WebAssembly, behind one interface. */
import { join } from 'node:path';
import sherpaWasm, { type WasmRecognizer } from 'sherpa-onnx';
import sherpa, { type OnlineModelConfig } from 'sherpa-onnx-node';
import type { Model } from '../../src/model/model.ts';
import { OnlineRecognizer, type RecognizerOptions } from '../../src/recognizer/recognizer.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';

/** A recogniser that hears one stream at a time, by greedy search of the transducer. */
export interface Hearer {
  name: string;
  /** Encoder frames that it takes at a time. */
  frames: number;
  /** The text of a recording, which comes in pieces as from a microphone; looked at after each chunk. */
  hear(recording: Waveform): Promise<string>;
  dispose(): void;
}

/** Seconds of a piece. */
const PIECE = 0.1;
/** Rill adds it by itself: silence that brings the last words out. */
const TAIL_SECONDS = 0.5;

/** A recording in pieces of {@link PIECE}. */
export function piecesOf({ samples, sampleRate }: Waveform): Float32Array<ArrayBuffer>[] {
  const length = Math.round(PIECE * sampleRate);
  return Array.from({ length: Math.ceil(samples.length / length) }, (_, i) =>
    samples.slice(i * length, (i + 1) * length),
  );
}

export async function hearByRill(
  model: Model,
  frames: number,
  { dtype }: Pick<RecognizerOptions, 'dtype'>,
): Promise<Hearer> {
  const engine = new WasmEngine();
  const recognizer = await OnlineRecognizer.create(engine, model, {
    decodingMethod: 'greedy_search',
    chunkFrames: frames,
    tailPaddingSeconds: TAIL_SECONDS,
    maxStreams: 1,
    dtype,
  });
  return {
    name: `Rill, CPU, ${dtype}`,
    frames,
    async hear(recording) {
      const stream = recognizer.createStream();
      const advance = async () => {
        while (recognizer.isReady(stream)) {
          await recognizer.decode(stream);
          recognizer.getResult(stream);
        }
      };
      for (const samples of piecesOf(recording)) {
        stream.acceptWaveform({ samples, sampleRate: recording.sampleRate });
        await advance();
      }
      stream.inputFinished();
      await advance();
      const { text } = recognizer.getResult(stream);
      stream.dispose();
      return text;
    },
    dispose: () => {
      recognizer.dispose();
    },
  };
}

/** What both packages of sherpa-onnx take, of a folder that `exportSherpaOnnx` has filled. */
function modelConfig(folder: string): OnlineModelConfig {
  const [encoder, decoder, joiner] = ['encoder', 'decoder', 'joiner'].map((part) => join(folder, `${part}.onnx`));
  return {
    transducer: { encoder, decoder, joiner },
    tokens: join(folder, 'tokens.txt'),
    numThreads: 1,
    provider: 'cpu',
  };
}

function commonConfig({ config: { features } }: Model, folder: string) {
  return {
    featConfig: { sampleRate: features.sampleRate, featureDim: features.numMelBins },
    modelConfig: modelConfig(folder),
    decodingMethod: 'greedy_search' as const,
    maxActivePaths: 4,
    blankPenalty: 0,
  };
}

/** The calls that both packages have, over a stream of their own. */
interface Calls<Stream> {
  createStream(): Stream;
  accept(stream: Stream, samples: Float32Array, sampleRate: number): void;
  finish(stream: Stream): void;
  isReady(stream: Stream): boolean;
  decode(stream: Stream): void;
  textOf(stream: Stream): string;
  free(stream: Stream): void;
}

function hearBy<Stream>(calls: Calls<Stream>, recording: Waveform): string {
  const { sampleRate } = recording;
  const stream = calls.createStream();
  const advance = () => {
    while (calls.isReady(stream)) {
      calls.decode(stream);
      calls.textOf(stream);
    }
  };
  for (const samples of piecesOf(recording)) {
    calls.accept(stream, samples, sampleRate);
    advance();
  }
  calls.accept(stream, new Float32Array(Math.round(TAIL_SECONDS * sampleRate)), sampleRate);
  calls.finish(stream);
  advance();
  const text = calls.textOf(stream).trim();
  calls.free(stream);
  return text;
}

export function hearBySherpa(model: Model, folder: string, frames: number): Hearer {
  const recognizer = new sherpa.OnlineRecognizer(commonConfig(model, folder));
  return {
    name: 'sherpa-onnx, native, 1 thread',
    frames,
    async hear(recording) {
      const text = hearBy(
        {
          createStream: () => recognizer.createStream(),
          accept: (stream, samples, sampleRate) => {
            stream.acceptWaveform({ samples, sampleRate });
          },
          finish: (stream) => {
            stream.inputFinished();
          },
          isReady: (stream) => recognizer.isReady(stream),
          decode: (stream) => {
            recognizer.decode(stream);
          },
          textOf: (stream) => recognizer.getResult(stream).text,
          // The garbage collector's.
          free: () => undefined,
        },
        recording,
      );
      return text;
    },
    dispose: () => undefined,
  };
}

/** What the WebAssembly package must be told besides. */
const WASM_DEFAULTS = {
  paraformer: { encoder: '', decoder: '' },
  zipformer2Ctc: { model: '' },
  nemoCtc: { model: '' },
  toneCtc: { model: '' },
  debug: 0,
  modelType: '',
  modelingUnit: 'cjkchar',
  bpeVocab: '',
};

export function hearBySherpaWasm(model: Model, folder: string, frames: number): Hearer {
  const config = commonConfig(model, folder);
  const recognizer: WasmRecognizer = sherpaWasm.createOnlineRecognizer({
    ...config,
    modelConfig: { ...WASM_DEFAULTS, ...config.modelConfig },
    enableEndpoint: 0,
    hotwordsFile: '',
    ctcFstDecoderConfig: { graph: '', maxActive: 3000 },
    ruleFsts: '',
    ruleFars: '',
  });
  return {
    name: 'sherpa-onnx, WASM',
    frames,
    async hear(recording) {
      return hearBy(
        {
          createStream: () => recognizer.createStream(),
          accept: (stream, samples, sampleRate) => {
            stream.acceptWaveform(sampleRate, samples);
          },
          finish: (stream) => {
            stream.inputFinished();
          },
          isReady: (stream) => recognizer.isReady(stream),
          decode: (stream) => {
            recognizer.decode(stream);
          },
          textOf: (stream) => recognizer.getResult(stream).text,
          free: (stream) => {
            stream.free();
          },
        },
        recording,
      );
    },
    dispose: () => {
      recognizer.free();
    },
  };
}
