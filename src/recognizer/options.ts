import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';

/** Options of everything that streams. */
export interface StreamingOptions {
  /** Encoder frames (40 ms) of one stream in one step: fewer for less latency, more for less work; 4 by default. */
  chunkFrames?: number;
  /** Encoder frames that the engine is made for; `chunkFrames` by default. */
  maxFrames?: number;
  /** Seconds of silence added when the input ends, so that the last letters come out; 0.5 by default, 60 at most. */
  tailPaddingSeconds?: number;
}

const DEFAULT_CHUNK_FRAMES = 4;
const DEFAULT_TAIL_PADDING_SECONDS = 0.5;
const MAX_TAIL_PADDING_SECONDS = 60;

/** Fills in defaults. @throws RillError `bad-model` without tokens, `bad-argument` for values out of range. */
export function resolveStreamingOptions(
  { tokens }: Model,
  {
    chunkFrames = DEFAULT_CHUNK_FRAMES,
    maxFrames = chunkFrames,
    tailPaddingSeconds = DEFAULT_TAIL_PADDING_SECONDS,
  }: StreamingOptions,
): { tokens: TokenTable; chunkFrames: number; tailPaddingSeconds: number } {
  if (!tokens) {
    throw new RillError('bad-model', {
      got: 'a model without tokens.txt',
      expected: 'a token table',
      remedy: 'Put the tokens.txt of the training run into the model folder.',
    });
  }
  if (!(Number.isInteger(chunkFrames) && chunkFrames >= 1 && chunkFrames <= maxFrames)) {
    throw new RillError('bad-argument', {
      got: `chunks of ${chunkFrames} frames, at most ${maxFrames} in a step`,
      expected: 'at least one frame, and no more than maxFrames',
      remedy: 'One encoder frame is 40 ms; 4 is a good start.',
    });
  }
  if (!(tailPaddingSeconds >= 0 && tailPaddingSeconds <= MAX_TAIL_PADDING_SECONDS)) {
    throw new RillError('bad-argument', {
      got: `${tailPaddingSeconds} s of tail padding`,
      expected: `0 to ${MAX_TAIL_PADDING_SECONDS} s`,
      remedy: `The default of ${DEFAULT_TAIL_PADDING_SECONDS} s brings out the last letters.`,
    });
  }
  return { tokens, chunkFrames, tailPaddingSeconds };
}
