import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readNpy, writeNpy } from '../../tools/npy.ts';
import { op, oneTensor, torchZip } from '../support/checkpoints.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import { fixturePath, readArray, wakeWordsFolder } from '../support/fixtures.ts';
import { printed, refused, rill } from '../support/rill.ts';
import { alsoInAll } from '../support/scope.ts';

/** Choices of kernels are kept, as they are for users, but apart from theirs. */
const CACHE_HOME = join(tmpdir(), `rill-cache-${process.pid}`);

describe('rill', () => {
  let folder: string;
  const at = (...names: string[]) => join(folder, ...names);
  const sample = (name: string) => join(wakeWordsFolder, 'samples', `${name}.wav`);
  const small = fixturePath('golden/small');

  beforeAll(async () => {
    vi.stubEnv('XDG_CACHE_HOME', CACHE_HOME);
    folder = await mkdtemp(join(tmpdir(), 'rill-'));
    await printed('convert', join(small, 'checkpoint.pt'), '-o', at('small'), '--config', join(small, 'config.json'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await rm(CACHE_HOME, { recursive: true, force: true });
    vi.unstubAllEnvs();
  });

  it('convert writes a model folder and nothing else', async () => {
    expect((await readdir(at('small'))).sort()).toEqual(['config.json', 'model.safetensors']);
  });

  it('export writes what sherpa-onnx reads', async () => {
    await printed('export', wakeWordsFolder, '-o', at('exported'), '--format', 'sherpa-onnx', '--frames', '4');
    const names = ['decoder.onnx', 'encoder.onnx', 'joiner.onnx', 'tokens.txt'];
    expect((await readdir(at('exported'))).sort()).toEqual(names);
    const { config } = JSON.parse(await printed('inspect', at('exported'), '--json')) as { config: unknown };
    expect(config).toMatchObject({ vocab_size: 29, joiner_dim: 128 });
  });

  it('inspect lists tensors, parameters and the configuration, of a checkpoint and of a folder', async () => {
    const [checkpoint, model] = await Promise.all(
      [join(small, 'checkpoint.pt'), at('small')].map(
        async (path) => JSON.parse(await printed('inspect', path, '--json')) as Record<string, unknown>,
      ),
    );
    expect(checkpoint.parameters).toEqual({ encoder: 188_816, decoder: 832, joiner: 3_624 });
    expect(model.parameters).toEqual(checkpoint.parameters);
    expect(model.config).toEqual(checkpoint.config);
    expect(checkpoint.tensors).toContainEqual({
      name: 'encoder.encoder_embed.conv.0.weight_scale',
      shape: [],
      dtype: 'F32',
    });
    expect(await printed('inspect', at('small'))).toContain('188,816');
  });

  it('features writes log-mel features', async () => {
    await printed('features', sample('computer'), '-o', at('features.npy'));
    const { shape, data } = readNpy(await readFile(at('features.npy')), 'features.npy');
    expect(shape).toEqual([307, 80]);
    const { data: expected } = await readArray('wake-words/golden/computer.features.npy');
    expect(largestDifference(data, expected)).toBeLessThan(1e-3);
  });

  it('encode gives the same bytes in a batch and in chunks, and states that go on', async () => {
    const features = join(small, 'features.npy');
    const lens = join(small, 'feature_lens.npy');
    const { stderr } = await rill([
      'encode',
      at('small'),
      features,
      '-o',
      at('whole.npy'),
      '--lens',
      lens,
      '--states-out',
      at('whole'),
    ]);
    expect(stderr).toMatch(/SwiftShader|in node/);
    await printed(
      'encode',
      at('small'),
      features,
      '-o',
      at('chunks.npy'),
      '--lens',
      lens,
      '--chunk',
      '3',
      '--states-out',
      at('chunks'),
    );
    const [whole, chunks] = await Promise.all(
      ['whole', 'chunks'].map(async (name) => readNpy(await readFile(at(`${name}.npy`)), name)),
    );
    const expected = await readArray('golden/small/encoder_out.npy');
    expect(whole.shape).toEqual(expected.shape);
    expect(chunks.shape).toEqual(expected.shape);
    expectSameBytes(chunks.data, whole.data, 'chunks');
    for (const state of ['h.npy', 'c.npy']) {
      const [a, b] = await Promise.all(
        ['whole', 'chunks'].map(async (name) => readNpy(await readFile(at(name, state)), state)),
      );
      expect(a.shape.slice(0, 2)).toEqual([3, 3]);
      expectSameBytes(b.data, a.data, state);
    }
    // Utterance 0 alone, from given states.
    const { data, shape } = await readArray('golden/small/features.npy');
    await writeFile(at('one.npy'), writeNpy([shape[1], shape[2]], data.slice(0, shape[1] * shape[2])));
    const { data: length } = await readArray('golden/small/feature_lens.npy');
    await writeFile(at('one-lens.npy'), writeNpy([1], BigInt64Array.of(BigInt(length[0]))));
    await writeFile(at('h.npy'), await readFile(join(small, 'warm_h0.npy')));
    await writeFile(at('c.npy'), await readFile(join(small, 'warm_c0.npy')));
    await printed(
      'encode',
      at('small'),
      at('one.npy'),
      '-o',
      at('warm.npy'),
      '--lens',
      at('one-lens.npy'),
      '--states-in',
      folder,
      '--chunk',
      '2',
    );
    const warm = readNpy(await readFile(at('warm.npy')), 'warm');
    expect(largestDifference(warm.data, (await readArray('golden/small/warm_out.npy')).data)).toBeLessThanOrEqual(5e-5);
  });

  it('transcribe prints words as they come, or one JSON object per recording', async () => {
    const text = await printed('transcribe', wakeWordsFolder, sample('view-glass'));
    expect(text).toMatch(/^ +\d\.\d\d +\d\.\d\d {2}view\n +\d\.\d\d +\d\.\d\d {2}glass\n.*: view glass\n$/);
    const lines = (
      await printed('transcribe', wakeWordsFolder, sample('alexa'), sample('jarvis'), '--json', '--chunk', '2')
    )
      .trim()
      .split('\n');
    const results = lines.map((line) => JSON.parse(line) as { text: string; tokens: number[]; timestamps: number[] });
    expect(results.map((result) => result.text)).toEqual(['alexa', 'jarvis']);
    expect(results[0].timestamps).toHaveLength(results[0].tokens.length);
  });

  it('transcribe does the others where one cannot be read, cuts at pauses, and writes a file of each', async () => {
    const sound = async (name: string) => (await readFile(sample(name))).subarray(44);
    const pause = Buffer.alloc(2 * 2 * 16000);
    const raw = [await sound('view-glass'), pause, await sound('jarvis')];
    const paths = [at('nowhere.wav'), sample('alexa'), '-'];
    const output = ['--raw-rate', '16000', '--format', 'srt', '-o', `${at('subtitles')}/`];
    const { status, stdout, stderr } = await rill(['transcribe', wakeWordsFolder, ...paths, ...output], raw);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr.match(/^rill: got .*nowhere\.wav/gm)).toHaveLength(1);
    const cues = await Promise.all(['alexa', 'stdin'].map((name) => readFile(at('subtitles', `${name}.srt`), 'utf8')));
    const time = '00:00:0\\d,\\d{3}';
    expect(cues[0]).toMatch(new RegExp(`^1\n${time} --> ${time}\nalexa\n$`));
    expect(cues[1]).toMatch(new RegExp(`^1\n${time} --> ${time}\nview glass\n\n2\n${time} --> ${time}\njarvis\n$`));
  });

  it('transcribe writes words, segments and probabilities as JSON, a line for each recording', async () => {
    const args = ['transcribe', wakeWordsFolder, sample('view-glass'), sample('view-glass'), '-o', at('all.json')];
    expect(await printed(...args, '--method', 'greedy_search')).toBe('');
    const lines = (await readFile(at('all.json'), 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(2);
    const transcript = JSON.parse(lines[0]) as {
      tokens: number[];
      probabilities: number[];
      words: { word: string; start: number; end: number }[];
      segments: { text: string; start: number; end: number }[];
    };
    const { words, segments, tokens, probabilities } = transcript;
    expect(words.map(({ word }) => word)).toEqual(['view', 'glass']);
    expect(segments).toHaveLength(1);
    expect(segments[0].text).toBe('view glass');
    expect([segments[0].start <= words[0].start, segments[0].end >= words[1].end]).toEqual([true, true]);
    expect(probabilities).toHaveLength(tokens.length);
    expect(probabilities.every((each) => each > 0 && each <= 1)).toBe(true);
  });

  it('spot finds every keyword of a recording', async () => {
    const expected = JSON.parse(await readFile(join(wakeWordsFolder, 'samples', 'stream.json'), 'utf8')) as {
      keywords: { keyword: string; start: number; end: number }[];
    };
    for (const runtime of alsoInAll(['node'], ['chrome'])) {
      const { keywords } = JSON.parse(
        await printed('spot', wakeWordsFolder, sample('stream'), '--json', '--runtime', runtime),
      ) as typeof expected;
      expect(keywords.map(({ keyword }) => keyword)).toEqual(expected.keywords.map(({ keyword }) => keyword));
      keywords.forEach(({ start, end }, i) => {
        expect(start).toBeGreaterThan(expected.keywords[i].start - 0.1);
        // The word's end is emitted a little after it.
        expect(end).toBeLessThan(expected.keywords[i].end + 0.3);
      });
    }
  });

  it('spot takes other keywords', async () => {
    await writeFile(at('keywords.txt'), 'a l e x a ▁ @hello\n');
    expect(await printed('spot', wakeWordsFolder, sample('alexa'), '--keywords', at('keywords.txt'))).toContain(
      'hello',
    );
    expect(await printed('spot', wakeWordsFolder, sample('jarvis'), '--keywords', at('keywords.txt'))).toContain(
      'no keyword',
    );
  });

  it('teach names the takes that are not fit, and does not begin with too few', async () => {
    const takes = [sample('amelia'), sample('stream'), sample('alexa')];
    const { status, stderr: message } = await rill([
      'teach',
      'hey',
      ...takes,
      '--model',
      wakeWordsFolder,
      '--out',
      at('taught'),
    ]);
    expect(status).toBe(2);
    expect(message).toMatch(/left out: .*amelia\.wav, which is too loud/);
    expect(message).toMatch(/left out: .*stream\.wav, in which something is said more than once/);
    expect(message).toContain('1 of 3 takes that are fit');
    expect(existsSync(at('taught'))).toBe(false);
    expect(await refused('unteach', 'hey', '--model', wakeWordsFolder, '--out', at('taught'))).toContain('not taught');
  });

  it('eval reports word errors, keyword accuracy and false alarms', async () => {
    const rows = [
      ['alexa', 'alexa'],
      ['smart-mirror', 'smart mirror'],
      ['jarvis', 'jarvis please'],
      ['snowboy', ''],
    ];
    const list = rows.map(([clip, text]) => `${sample(clip)},${text}`).join('\n');
    await writeFile(at('list.csv'), `audio,text\n${list}\n`);
    const result = JSON.parse(
      await printed('eval', wakeWordsFolder, at('list.csv'), '--json', '--method', 'greedy_search'),
    ) as Record<string, unknown>;
    expect(result).toMatchObject({
      recordings: 4,
      words: 5,
      substitutions: 0,
      insertions: 1,
      deletions: 1,
      wordErrorRate: 0.4,
      exact: 2,
      keywordAccuracy: 1,
      falseAlarms: 1,
    });
    expect(await printed('eval', wakeWordsFolder, at('list.csv'))).toMatch(/word error rate +40\.00 %/);
    await writeFile(at('bad.csv'), 'no comma here\n');
    expect(await refused('eval', wakeWordsFolder, at('bad.csv'))).toContain('line 1');
  });

  it('decode prints one line per utterance', async () => {
    const lines = await printed(
      'decode',
      at('small'),
      join(small, 'features.npy'),
      '--lens',
      join(small, 'feature_lens.npy'),
      '--method',
      'modified_beam_search',
      '--json',
    );
    const decoded = JSON.parse(await readFile(join(small, 'decoded.json'), 'utf8')) as {
      modified_beam_search: { tokens: number[]; frames: number[] }[];
    };
    const results = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { tokens: number[]; frames: number[]; log_prob: number; text: string });
    expect(results.map(({ tokens, frames }) => ({ tokens, frames }))).toEqual(
      decoded.modified_beam_search.map(({ tokens, frames }) => ({ tokens, frames })),
    );
    results.forEach(({ log_prob: logProb, text }) =>
      expect([typeof logProb, typeof text]).toEqual(['number', 'string']),
    );
  });

  it('convert reads an ONNX trio from its folder', async () => {
    await printed('convert', fixturePath('golden/formats'), '-o', at('onnx'));
    const { parameters } = JSON.parse(await printed('inspect', at('onnx'), '--json')) as {
      parameters: Record<string, number>;
    };
    expect(parameters).toEqual({ encoder: 188_816, decoder: 832, joiner: 3_624 });
  });

  describe('exits with 2 and one line on', () => {
    it('bad usage', async () => {
      expect(await refused('dance')).toContain('convert, inspect');
      expect(await refused('bench', '--what', 'everything')).toContain('chunks, streams');
      expect(await refused('bench', '--streams', '0')).toContain('--streams 0');
      expect(await refused('bench', '--dtype', 'f8')).toContain('--dtype f8');
      expect(await refused('bench', '--method', 'fast')).toContain('plain, wide, split');
      expect(await refused('convert', 'x.pt')).toContain('no output');
      expect(await refused('export', at('small'), '-o', at('x'), '--format', 'sherpa-onnx')).toContain('tokens.txt');
      expect(await refused('encode', at('small'), '-o', at('x.npy'))).toContain('rill encode');
      expect(await refused('transcribe', wakeWordsFolder, sample('alexa'), '--chunk', '0')).toContain('--chunk 0');
      expect(await refused('transcribe', wakeWordsFolder, sample('alexa'), '--runtime', 'safari')).toContain(
        '--runtime safari',
      );
      expect(await refused('spot', wakeWordsFolder, '--jsn')).toBe(
        'rill: got the option --jsn; expected --json. See rill spot --help.',
      );
    });

    it('files that are missing or something else', async () => {
      await writeFile(at('noise.wav'), 'not audio');
      expect(await refused('transcribe', wakeWordsFolder, at('nowhere.wav'))).toContain('nowhere.wav');
      expect(await refused('transcribe', wakeWordsFolder, at('noise.wav'))).toContain('noise.wav');
      expect(await refused('transcribe', at('nowhere'), sample('alexa'))).toContain('a model folder');
      expect(await refused('encode', at('small'), at('noise.wav'), '-o', at('x.npy'))).toContain('.npy');
      expect(
        await refused('encode', at('small'), fixturePath('golden/noproj/features.npy'), '-o', at('x.npy')),
      ).toContain('40 wide');
      expect(existsSync(at('x.npy'))).toBe(false);
    });

    it('a hostile or truncated checkpoint, and leaves no output', async () => {
      const attack = [
        ...op.proto,
        ...op.global('os', 'system'),
        ...op.mark,
        ...op.string('id'),
        ...op.tuple,
        ...op.reduce,
        ...op.stop,
      ];
      const source = await torchZip(attack);
      await writeFile(at('attack.pt'), await source.read(0, source.size));
      expect(await refused('convert', at('attack.pt'), '-o', at('out'))).toContain('os.system');
      const whole = await readFile(join(small, 'checkpoint.pt'));
      await writeFile(at('cut.pt'), whole.subarray(0, whole.length / 2));
      await refused('convert', at('cut.pt'), '-o', at('out'));
      const other = await torchZip(oneTensor('weight', op.tensor('0', 1, 0, [1], [1])), { 0: Float32Array.of(1) });
      await writeFile(at('other.pt'), await other.read(0, other.size));
      expect(await refused('convert', at('other.pt'), '-o', at('out'))).toContain(
        'encoder.encoder_embed.conv.0.weight',
      );
      expect(existsSync(at('out'))).toBe(false);
    });

    it('lengths beyond the array and states of another shape', async () => {
      await writeFile(at('long.npy'), writeNpy([3], BigInt64Array.of(9n, 9n, 99999n)));
      expect(
        await refused('encode', at('small'), join(small, 'features.npy'), '-o', at('x.npy'), '--lens', at('long.npy')),
      ).toContain('99999');
      await writeFile(at('h.npy'), writeNpy([1, 1, 5], new Float32Array(5)));
      await writeFile(at('c.npy'), writeNpy([1, 1, 5], new Float32Array(5)));
      const message = await refused(
        'encode',
        at('small'),
        join(small, 'features.npy'),
        '-o',
        at('x.npy'),
        '--states-in',
        folder,
      );
      expect(message).toContain('h (3, 3, 32) and c (3, 3, 64)');
      // As many values, in another order.
      await writeFile(at('h.npy'), writeNpy([3, 32, 3], new Float32Array(288)));
      await writeFile(at('c.npy'), writeNpy([3, 3, 64], new Float32Array(576)));
      const args = ['encode', at('small'), join(small, 'features.npy'), '-o', at('x.npy'), '--states-in', folder];
      expect(await refused(...args)).toContain('got h (3, 32, 3)');
    });

    it('nothing to listen for', async () => {
      await writeFile(at('none.txt'), '\n');
      expect(await refused('spot', wakeWordsFolder, sample('alexa'), '--keywords', at('none.txt'))).toContain(
        'got no keywords',
      );
    });
  });

  it('exits with 1 when there is no runtime to run on', async () => {
    vi.stubEnv('FIREFOX_PATH', at('nowhere'));
    const { status, stdout, stderr } = await rill(['spot', wakeWordsFolder, sample('alexa'), '--runtime', 'firefox']);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^rill: got no firefox on this machine; expected .+FIREFOX_PATH/);
  });
});
