/** sherpa-onnx's keyword spotter over the same network, as one more search for `rill eval-keywords`. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Keyword } from '../../src/decoder/keywords.ts';
import { RillError } from '../../src/errors.ts';
import type { TokenTable } from '../../src/model/tokens.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { readRecording } from '../recordings.ts';
import { TAIL_PADDING_SECONDS } from '../evaluation.ts';
import type { KeywordSearch } from '../keyword-evaluation.ts';

const FILES = ['encoder.onnx', 'decoder.onnx', 'joiner.onnx', 'tokens.txt'] as const;

/** As much of the package sherpa-onnx-node as is used here. */
interface SherpaOnnx {
  KeywordSpotter: new (config: object) => {
    createStream: () => SherpaStream;
    isReady: (stream: SherpaStream) => boolean;
    decode: (stream: SherpaStream) => void;
    getResult: (stream: SherpaStream) => { keyword: string };
    reset: (stream: SherpaStream) => void;
  };
}

type Spotter = InstanceType<SherpaOnnx['KeywordSpotter']>;

interface SherpaStream {
  acceptWaveform: (waveform: { samples: Float32Array; sampleRate: number }) => void;
  inputFinished: () => void;
}

function loadPackage(): SherpaOnnx {
  try {
    return createRequire(import.meta.url)('sherpa-onnx-node') as SherpaOnnx;
  } catch (cause) {
    throw new RillError('bad-argument', {
      got: `no package sherpa-onnx-node (${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)})`,
      expected: 'sherpa-onnx beside Rill',
      remedy: 'Install it: in a clone npm run setup, elsewhere npm install sherpa-onnx-node.',
    });
  }
}

/**
 * Opens sherpa-onnx on a folder that `rill export --format sherpa-onnx` has written.
 *
 * @param audio the recordings that it will be asked for
 * @throws RillError `bad-argument` without the package or the folder's files, `bad-audio`.
 */
export async function openSherpa(
  folder: string,
  table: TokenTable,
  audio: readonly string[],
): Promise<{ search: KeywordSearch; close: () => Promise<void> }> {
  const missing = FILES.find((name) => !existsSync(join(folder, name)));
  if (missing !== undefined) {
    throw new RillError('bad-argument', {
      got: `${folder} without ${missing}`,
      expected: FILES.join(', '),
      remedy: 'Make it with rill export --format sherpa-onnx.',
    });
  }
  const { KeywordSpotter } = loadPackage();
  const recordings = new Map(await Promise.all(audio.map(async (path) => [path, await readRecording(path)] as const)));
  const scratch = await mkdtemp(join(tmpdir(), 'rill-sherpa-'));
  const keywordsFile = join(scratch, 'keywords.txt');
  const [encoder, decoder, joiner, tokens] = FILES.map((name) => join(folder, name));
  /** The last spotter, and what it was made for: loading the network takes longer than a short recording. */
  let spotter: Spotter | undefined;
  let madeFor = '';
  const search: KeywordSearch = async (keywords, keywordsThreshold, { audio: path }) => {
    const lines = keywords.map((keyword) => `${lineOf(keyword, table)}\n`).join('');
    const wanted = `${keywordsThreshold} ${lines}`;
    if (spotter === undefined || wanted !== madeFor) {
      await writeFile(keywordsFile, lines);
      spotter = new KeywordSpotter({
        modelConfig: { transducer: { encoder, decoder, joiner }, tokens, numThreads: 1, provider: 'cpu' },
        keywordsFile,
        ...(keywordsThreshold !== undefined && { keywordsThreshold }),
      });
      madeFor = wanted;
    }
    const heard = hear(spotter, recordings.get(path));
    // Native objects that are not used any more are freed between turns of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    return heard;
  };
  return { search, close: () => rm(scratch, { recursive: true }) };
}

function hear(spotter: Spotter, waveform: Waveform | undefined): string[] {
  const heard: string[] = [];
  if (!waveform) {
    return heard;
  }
  const { sampleRate } = waveform;
  const stream = spotter.createStream();
  stream.acceptWaveform(waveform);
  stream.acceptWaveform({ samples: new Float32Array(Math.round(TAIL_PADDING_SECONDS * sampleRate)), sampleRate });
  stream.inputFinished();
  while (spotter.isReady(stream)) {
    spotter.decode(stream);
    const { keyword } = spotter.getResult(stream);
    if (keyword !== '') {
      heard.push(keyword.replaceAll('_', ' '));
      spotter.reset(stream);
    }
  }
  return heard;
}

/** A keyword as sherpa-onnx's file has it; its phrases have no spaces. */
function lineOf({ tokens, boost, threshold, phrase }: Keyword, table: TokenTable): string {
  const marks = [
    ...(boost === undefined ? [] : [`:${boost}`]),
    ...(threshold === undefined ? [] : [`#${threshold}`]),
    `@${phrase.replaceAll(' ', '_')}`,
  ];
  return [...tokens.map((id) => table.symbols[id]), ...marks].join(' ');
}
