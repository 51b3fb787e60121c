import { CTC_LOG_PROBS, CTC_TOKENS, GREEDY_TOKENS, JOINER_ENCODER_PROJ } from '../../encoder/outputs.ts';
import type { HeadOptions, HeadOutput } from '../../encoder/outputs.ts';
import { unknownOutput } from '../../encoder/checks.ts';
import { RillError } from '../../errors.ts';
import type { EncoderHead } from '../workspace.ts';
import { loadCtcHead, loadCtcTokensHead } from './ctc.ts';
import { loadGreedyHead } from './greedy.ts';
import type { HeadHost } from './linear.ts';
import { loadJoinerHead } from './joiner.ts';

/** How the head of each output is loaded. */
const HEADS: Readonly<Record<HeadOutput, (host: HeadHost, options: HeadOptions) => Promise<EncoderHead>>> = {
  [CTC_LOG_PROBS]: loadCtcHead,
  [CTC_TOKENS]: loadCtcTokensHead,
  [JOINER_ENCODER_PROJ]: loadJoinerHead,
  [GREEDY_TOKENS]: loadGreedyHead,
};

/** The heads that an encoder has, each once. */
export class ProvidedHeads {
  readonly #options = new Map<HeadOutput, string>();

  static knows(output: string): boolean {
    return Object.hasOwn(HEADS, output);
  }

  /** @param attach takes the head of an output that is asked for for the first time */
  async provide(
    host: HeadHost,
    output: HeadOutput,
    options: HeadOptions,
    attach: (head: EncoderHead) => void,
  ): Promise<void> {
    const asked = JSON.stringify({ blankPenalty: options.blankPenalty ?? 0 });
    if (!ProvidedHeads.knows(output)) {
      throw unknownOutput(output, Object.keys(HEADS));
    }
    const given = this.#options.get(output);
    if (given !== undefined) {
      if (given !== asked) {
        throw new RillError('bad-argument', {
          got: `${output} with ${asked}`,
          expected: given,
          remedy: 'Make another encoder for other options.',
        });
      }
      return;
    }
    this.#options.set(output, asked);
    try {
      attach(await HEADS[output](host, options));
    } catch (error) {
      this.#options.delete(output);
      throw error;
    }
  }
}
