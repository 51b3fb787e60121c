import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sherpa, { type OnlineModelConfig, type OnlineStream } from 'sherpa-onnx-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportSherpaOnnx } from '../../src/checkpoint/export-onnx.ts';
import type { ExportOptions } from '../../src/checkpoint/export-options.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { writeFolder } from '../../tools/files.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { goldenModel, madeUpTokens, sample, wakeWordsModel } from '../support/fixtures.ts';

const CLIPS = ['alexa', 'amelia', 'athena', 'computer', 'jarvis', 'smart-mirror', 'snowboy', 'view-glass'];
const METHODS = ['greedy_search', 'modified_beam_search'] as const;
/** Random weights say little without. */
const BLANK_PENALTY = 4;
/** Rill adds it by itself. */
const TAIL_PADDING = { samples: new Float32Array(8000), sampleRate: 16000 };

interface Heard {
  text: string;
  tokens: readonly string[];
  milliseconds: readonly number[];
}

const milliseconds = (seconds: readonly number[]) => seconds.map((time) => Math.round(1000 * time));

/** An exported model as sherpa-onnx's configuration names its files. */
async function exported(model: Model, folder: string, options?: ExportOptions): Promise<OnlineModelConfig> {
  await writeFolder(folder, { ...(await exportSherpaOnnx(model, options)) });
  const [encoder, decoder, joiner] = ['encoder', 'decoder', 'joiner'].map((part) => join(folder, `${part}.onnx`));
  const tokens = join(folder, 'tokens.txt');
  return { transducer: { encoder, decoder, joiner }, tokens, numThreads: 1, provider: 'cpu' };
}

const commonConfig = ({ config: { features } }: Model, modelConfig: OnlineModelConfig) => ({
  featConfig: { sampleRate: features.sampleRate, featureDim: features.numMelBins },
  modelConfig,
  maxActivePaths: 4,
});

/** The model with a large embedding of the blank: it shows where -1, which embeds to zero, is taken for it. */
function withLoudBlank(model: Model): Model {
  const { weights, sizes } = model;
  const read: Model['weights']['read'] = async (name) => {
    const values = await weights.read(name);
    return name === 'decoder.embedding.weight' ? values.fill(8, 0, sizes.transducer?.decoderDim) : values;
  };
  return { ...model, weights: { ...weights, read } };
}

function feed(stream: OnlineStream, recording: Waveform): void {
  stream.acceptWaveform(recording);
  stream.acceptWaveform(TAIL_PADDING);
  stream.inputFinished();
}

function hearBySherpa(
  model: Model,
  files: OnlineModelConfig,
  decodingMethod: (typeof METHODS)[number],
  recordings: readonly Waveform[],
  blankPenalty = 0,
): Heard[] {
  const recognizer = new sherpa.OnlineRecognizer({ ...commonConfig(model, files), decodingMethod, blankPenalty });
  return recordings.map((recording) => {
    const stream = recognizer.createStream();
    feed(stream, recording);
    while (recognizer.isReady(stream)) {
      recognizer.decode(stream);
    }
    const { text, tokens, timestamps } = recognizer.getResult(stream);
    return { text: text.trim(), tokens, milliseconds: milliseconds(timestamps) };
  });
}

async function hearByRill(
  gpu: GpuContext,
  model: Model,
  decodingMethod: (typeof METHODS)[number],
  recordings: readonly Waveform[],
  blankPenalty = 0,
): Promise<Heard[]> {
  const kernels = { matrices: 'plain', convolutions: 'plain' } as const;
  const recognizer = await OnlineRecognizer.create(new WebGpuEngine(gpu, { kernels }), model, {
    decodingMethod,
    blankPenalty,
    maxStreams: 16,
  });
  const streams = recordings.map((recording) => {
    const stream = recognizer.createStream();
    stream.acceptWaveform(recording);
    stream.inputFinished();
    return stream;
  });
  while (streams.some((stream) => recognizer.isReady(stream))) {
    await recognizer.decode(streams);
  }
  const heard = streams.map((stream) => {
    const { text, tokens, timestamps } = recognizer.getResult(stream);
    const symbols = tokens.map((id) => model.tokens?.symbols[id] ?? '');
    // sherpa-onnx shows the mark of a word's end or beginning as the space that it is in text.
    const shown = symbols.map((symbol) => symbol.replaceAll('▁', ' '));
    return { text: text.trim(), tokens: shown, milliseconds: milliseconds(timestamps) };
  });
  recognizer.dispose();
  return heard;
}

describe('sherpa-onnx with an exported model', () => {
  let folder: string;
  let gpu: GpuContext;
  const at = (name: string) => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rill-export-'));
    gpu = await createNodeContext();
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each(METHODS)('hears in all bundled recordings what Rill hears, at the same times, by %s', async (method) => {
    const model = openModel(await wakeWordsModel());
    const recordings = await Promise.all([...CLIPS, 'stream'].map(sample));
    const expected = await hearByRill(gpu, model, method, recordings);
    const clips = expected.map(({ text }) => text).slice(0, CLIPS.length);
    expect(clips).toEqual(CLIPS.map((name) => name.replace('-', ' ')));
    const asFloats = await exported(model, at('f32'));
    expect(hearBySherpa(model, asFloats, method, recordings)).toEqual(expected);
    const asIntegers = await exported(model, at('int8'), { frames: 4, dtype: 'int8' });
    expect(hearBySherpa(model, asIntegers, method, recordings)).toEqual(expected);
  });

  it.each(['noproj', 'odd'])('hears what Rill hears with the random weights of %s', async (name) => {
    const files = await goldenModel(name);
    const model = withLoudBlank(openModel({ ...files, 'tokens.txt': madeUpTokens(files) }));
    const recordings = [await sample('computer')];
    const [expected] = await hearByRill(gpu, model, 'greedy_search', recordings, BLANK_PENALTY);
    const exportedFiles = await exported(model, at(name), { frames: 2 });
    const [heard] = hearBySherpa(model, exportedFiles, 'greedy_search', recordings, BLANK_PENALTY);
    expect(heard.tokens.length).toBeGreaterThan(20);
    expect(heard.tokens).toEqual(expected.tokens.slice(0, heard.tokens.length));
    expect(heard.milliseconds).toEqual(expected.milliseconds.slice(0, heard.tokens.length));
    // It takes two frames at a time and leaves the last ones.
    expect(expected.tokens.length - heard.tokens.length).toBeLessThanOrEqual(2);
  });

  it('fires its keyword spotter on each clip', async () => {
    const model = openModel(await wakeWordsModel());
    const files = await exported(model, at('keywords'));
    for (const clip of CLIPS) {
      const keyword = clip.replace('-', '_');
      // One at a time: with this model's decoder `athena` fires in every silence, and each hit is a fresh start.
      const phrase = model.keywords?.split('\n').find((line) => line.endsWith(`@${keyword}`));
      await writeFolder(folder, { 'keywords.txt': phrase });
      const spotter = new sherpa.KeywordSpotter({
        ...commonConfig(model, files),
        keywordsFile: at('keywords.txt'),
        keywordsScore: 1,
        keywordsThreshold: 0.25,
      });
      const stream = spotter.createStream();
      feed(stream, await sample(clip));
      const hits = new Set<string>();
      while (spotter.isReady(stream)) {
        spotter.decode(stream);
        const hit = spotter.getResult(stream).keyword;
        if (hit) {
          hits.add(hit);
          spotter.reset(stream);
        }
      }
      expect([...hits]).toEqual([keyword]);
    }
  });
});
