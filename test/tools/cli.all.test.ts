import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fixturePath, wakeWordsFolder } from '../support/fixtures.ts';
import { printed, refused } from '../support/rill.ts';

describe('rill, for what takes longer,', () => {
  let folder: string;
  const at = (...names: string[]) => join(folder, ...names);
  const sample = (name: string) => join(wakeWordsFolder, 'samples', `${name}.wav`);
  const small = fixturePath('golden/small');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rill-'));
    vi.stubEnv('XDG_CACHE_HOME', at('cache'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    vi.unstubAllEnvs();
  });

  it('dtypes says what f16 and int8 cost', async () => {
    await writeFile(at('two.csv'), `${sample('alexa')},alexa\n${sample('view-glass')},view glass\n`);
    const reports = JSON.parse(await printed('dtypes', wakeWordsFolder, '--list', at('two.csv'), '--json')) as {
      dtype: string;
      weightBytes: number;
      differences: { output: string; largest: number; rms: number }[];
      score: { recordings: number; words: number; exact: number; keywordAccuracy: number };
    }[];
    expect(reports.map(({ dtype }) => dtype)).toEqual(['f32', 'f16', 'int8']);
    const [f32, f16, int8] = reports;
    expect(f32.score).toMatchObject({ recordings: 2, exact: 2, keywordAccuracy: 1 });
    expect(f32.differences).toEqual([
      { output: 'encoder_out', largest: 0, rms: 0 },
      { output: 'ctc_log_probs', largest: 0, rms: 0 },
    ]);
    expect(f16.weightBytes).toBeLessThan(0.55 * f32.weightBytes);
    expect(int8.weightBytes).toBeLessThan(0.3 * f32.weightBytes);
    f16.differences.forEach(({ largest, rms }, i) => {
      expect(rms).toBeGreaterThan(0);
      expect(largest).toBeGreaterThan(rms);
      expect(int8.differences[i].rms).toBeGreaterThan(rms);
    });
    await printed('convert', join(small, 'checkpoint.pt'), '-o', at('half'), '--dtype', 'f16');
    expect(await refused('dtypes', at('half'), '--list', at('two.csv'))).toContain('in f16');
    expect(await refused('dtypes', at('half'))).toContain('no list');
  });

  it('bench measures at the chunk sizes asked for', async () => {
    const random = ['bench', '--random', 'd=20,h=24,ff=32,layers=2', '--chunks', '1,3', '--seconds', '0', '--json'];
    const { parameters, readGBps, chunks, exact } = JSON.parse(await printed(...random)) as {
      parameters: number;
      readGBps: number;
      exact: boolean;
      chunks: {
        chunkFrames: number;
        medianMs: number;
        realTimeFactor: number;
        weightBytes: number;
        weightGBps: number;
        steps: number;
      }[];
    };
    // Convolutions, the linear layer behind them, and two layers, by hand: lstm.py's shapes, without eps.
    const [d, h, ff] = [20, 24, 32];
    const convolutions = 9 * 8 + 8 + 9 * 8 * 32 + 32 + 9 * 32 * 128 + 128;
    const layer = 4 * h * (d + d + 2) + d * h + (ff * d + ff) + (d * ff + d);
    expect(parameters).toBe(convolutions + (2304 * d + d) + 2 * layer);
    expect(readGBps).toBeGreaterThan(0);
    expect(exact).toBe(true);
    expect(chunks.map(({ chunkFrames }) => chunkFrames)).toEqual([1, 3]);
    for (const { chunkFrames, medianMs, realTimeFactor, weightBytes, weightGBps, steps } of chunks) {
      expect(medianMs > 0 && steps >= 2).toBe(true);
      expect(realTimeFactor).toBeCloseTo(medianMs / (40 * chunkFrames), 9);
      expect(weightGBps * medianMs * 1e6).toBeCloseTo(weightBytes, 0);
    }
  });

  it('bench measures streams, batches and kernels, in a dtype', async () => {
    const random = ['bench', '--random', 'd=20,h=24,ff=32,layers=2', '--seconds', '0', '--dtype', 'f16'];
    const sections = ['--streams', '3,1', '--batches', '2', '--kernels', '2'];
    const output = JSON.parse(await printed(...random, ...sections, '--json')) as Record<string, unknown>;
    expect(output).toMatchObject({
      dtype: 'f16',
      chunks: [],
      streams: [
        { streams: 1, steps: 2 },
        { streams: 3, steps: 2 },
      ],
      batches: [{ utterances: 2, steps: 1 }],
    });
    interface Row {
      streams: number;
      medianMs: number;
      p90Ms: number;
      inputFramesPerSecond: number;
      realTimeStreams?: number;
      realTimeFactor: number;
      keepsUp: boolean;
      memory: Record<string, number>;
    }
    const rows = output.streams as Row[];
    for (const { streams, medianMs, p90Ms, inputFramesPerSecond, realTimeStreams, keepsUp } of rows) {
      // Four encoder frames of each: 160 ms, 16 feature frames.
      expect(inputFramesPerSecond).toBeCloseTo((16_000 * streams) / medianMs, 3);
      expect(realTimeStreams).toBe(medianMs <= 160 ? Math.floor((160 * streams) / medianMs) : undefined);
      expect(keepsUp).toBe(p90Ms <= 160);
    }
    const [batch] = output.batches as Row[];
    expect(batch.realTimeFactor).toBeCloseTo(batch.medianMs / 20_000, 9);
    expect(batch.inputFramesPerSecond).toBeCloseTo((1000 * 2000) / batch.medianMs, 3);
    const [, { memory }] = rows;
    expect(memory.weights > 0 && memory.states > 0 && memory.activations > 0).toBe(true);
    const [{ streams, kernels }] = output.kernels as {
      streams: number;
      kernels: { kernel: string; dispatches: number; ms: number }[];
    }[];
    expect(streams).toBe(2);
    // Layers by frames.
    expect(kernels.find(({ kernel }) => kernel.startsWith('lstm_cell'))?.dispatches).toBe(8);
    const text = await printed(...random, '--what', 'chunks,kernels', '--chunks', '1', '--kernels', '1', '--markdown');
    expect(text).toContain('| frames | median ms |');
    expect(text).toMatch(/\| lstm_cell\w* +\| +8 \|/);
  });

  it('bench shows what the methods of kernels take, and which is chosen', async () => {
    const random = ['bench', '--random', 'd=20,h=24,ff=32,layers=2', '--methods', '1'];
    const { methods } = JSON.parse(await printed(...random, '--json')) as {
      methods: {
        chosen: { matrices: string };
        rehearsals: { choice: { matrices: string }; ms?: { layers: number[] } }[];
      }[];
    };
    const [{ chosen, rehearsals }] = methods;
    expect(rehearsals.map(({ choice }) => choice.matrices)).toEqual([
      'plain',
      'wide',
      'split',
      'waves',
      'texels',
      'quads',
    ]);
    rehearsals.forEach(({ ms }) => expect(ms?.layers.length === 2 && ms.layers.every((each) => each > 0)).toBe(true));
    expect(rehearsals.map(({ choice }) => choice.matrices)).toContain(chosen.matrices);
    expect(await printed(...random, '--markdown')).toMatch(/\| plain +\|( +[\d.]+ \|){4}/);
  });

  it('eval-keywords counts missed phrases and false alarms, alone and together, and plots them', async () => {
    await writeFile(at('two.csv'), `${sample('alexa')},alexa\n${sample('view-glass')},view glass\n`);
    const args = ['--thresholds', '0.5', '--svg', at('curve.svg'), '--json'];
    const scores = JSON.parse(await printed('eval-keywords', wakeWordsFolder, at('two.csv'), ...args)) as object[];
    // Three searches, alone and together, as they are by default and by the threshold.
    expect(scores).toHaveLength(3 * 2 * 2);
    scores.forEach((score) => {
      expect(score).toMatchObject({ said: 2, missed: 0, confused: 0, falseAlarms: 0 });
    });
    expect(await readFile(at('curve.svg'), 'utf8')).toContain('spotter, CTC');
    expect(await refused('eval-keywords', wakeWordsFolder, at('two.csv'), '--thresholds', '2')).toContain('0 to 1');
    expect(await refused('eval-keywords', wakeWordsFolder, at('two.csv'), '--sherpa', at('none'))).toContain(
      'encoder.onnx',
    );
  });
});
