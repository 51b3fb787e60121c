import { CTC_LOG_PROBS, CTC_TOKENS, GREEDY_TOKENS, JOINER_ENCODER_PROJ } from '../../encoder/outputs.ts';
import type { HeadOptions, HeadOutput } from '../../encoder/outputs.ts';
import type { EncoderHead } from '../workspace.ts';
import { loadCtcHead, loadCtcTokensHead } from './ctc.ts';
import { loadGreedyHead } from './greedy.ts';
import { loadJoinerHead } from './joiner.ts';
import type { HeadHost } from './linear.ts';

/** How the head of each output is loaded. */
const HEADS: Readonly<Record<HeadOutput, (host: HeadHost, options: HeadOptions) => Promise<EncoderHead>>> = {
  [CTC_LOG_PROBS]: loadCtcHead,
  [CTC_TOKENS]: loadCtcTokensHead,
  [JOINER_ENCODER_PROJ]: loadJoinerHead,
  [GREEDY_TOKENS]: loadGreedyHead,
};

/** Outputs that WebGPU gives. */
export const WEBGPU_OUTPUTS: readonly HeadOutput[] = [CTC_LOG_PROBS, CTC_TOKENS, JOINER_ENCODER_PROJ, GREEDY_TOKENS];

/** @throws RillError `bad-model` when the model has no such head. */
export const loadHead = (host: HeadHost, output: HeadOutput, options: HeadOptions): Promise<EncoderHead> =>
  HEADS[output](host, options);
