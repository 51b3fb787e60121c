/** What a second of sound costs Rill, by stage. */
import type { DecodingMethod } from '../../src/decoder/methods.ts';
import type { Model } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { resampled } from '../../src/waveform/resampler.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { percentile } from '../runtime/statistics.ts';
import { piecesOf } from './hearers.ts';

/** Milliseconds for each second of sound. */
export interface Stages {
  /** Samples to log-mel features, the resampler included where there is one. */
  features: number;
  /** The encoder's steps with their head. */
  encoder: number;
  /** The search, and all that gives the encoder its turns. */
  search: number;
  /** Words, keywords and results after each chunk. */
  text: number;
}

export interface StageFigures {
  dtype: 'f32' | 'int8';
  method: DecodingMethod;
  sampleRate: number;
  /** Medians over some runs. */
  stages: Stages;
}

const CHUNK_FRAMES = 4;
const WARM_UP = 3;
/** As microphones and videos have it. */
const OTHER_RATE = 48000;

async function runOnce(recognizer: OnlineRecognizer, { samples, sampleRate }: Waveform): Promise<Stages> {
  const stream = recognizer.createStream();
  const spent = { features: 0, decode: 0, text: 0 };
  let last = performance.now();
  /** Time since the last call goes to a stage. */
  const lap = (stage: keyof typeof spent) => {
    const now = performance.now();
    spent[stage] += now - last;
    last = now;
  };
  const advance = async () => {
    while (recognizer.isReady(stream)) {
      await recognizer.decode(stream);
      lap('decode');
      recognizer.getResult(stream);
      lap('text');
    }
  };
  for (const piece of piecesOf({ samples, sampleRate })) {
    stream.acceptWaveform({ samples: piece, sampleRate });
    lap('features');
    await advance();
  }
  stream.inputFinished();
  lap('features');
  await advance();
  const { computeMs } = stream.stats;
  stream.dispose();
  const seconds = samples.length / sampleRate;
  return {
    features: spent.features / seconds,
    encoder: computeMs / seconds,
    search: (spent.decode - computeMs) / seconds,
    text: spent.text / seconds,
  };
}

/** Runs a recording through the recogniser on the CPU again and again, a clock between the stages. */
export async function measureStages(model: Model, recording: Waveform, rounds: number): Promise<StageFigures[]> {
  const figures: StageFigures[] = [];
  const engine = new WasmEngine();
  for (const [dtype, method, wave] of [
    ['f32', 'greedy_search', recording],
    ['int8', 'greedy_search', recording],
    ['f32', 'ctc_greedy', recording],
    ['int8', 'ctc_greedy', recording],
    ['f32', 'ctc_greedy', resampled(recording, OTHER_RATE)],
  ] as const) {
    const recognizer = await OnlineRecognizer.create(engine, model, {
      decodingMethod: method,
      chunkFrames: CHUNK_FRAMES,
      maxStreams: 1,
      dtype,
    });
    const runs: Stages[] = [];
    for (let n = 0; n < WARM_UP + rounds; n++) {
      runs.push(await runOnce(recognizer, wave));
    }
    recognizer.dispose();
    const middle = (stage: keyof Stages) =>
      percentile(
        runs.slice(WARM_UP).map((run) => run[stage]),
        0.5,
      );
    const stages = {
      features: middle('features'),
      encoder: middle('encoder'),
      search: middle('search'),
      text: middle('text'),
    };
    figures.push({ dtype, method, sampleRate: wave.sampleRate, stages });
  }
  return figures;
}
