import { noTransducer } from '../encoder/checks.ts';
import { RillError } from '../errors.ts';
import type { ModelSizes } from '../model/sizes.ts';
import { CtcBeamDecoder } from './ctc-beam.ts';
import { CtcGreedyDecoder, CtcTokensDecoder } from './ctc-greedy.ts';
import { checkSearchNumbers, type Decoder, type DecoderEnding } from './decoder.ts';
import { TransducerJoiner, initialContext } from './joiner.ts';
import { ModifiedBeamSearchDecoder, type BeamSearchOptions } from './modified-beam-search.ts';
import { GreedySearchDecoder, GreedyTokensDecoder } from './transducer.ts';

/** A search: over the CTC head, or over the transducer under sherpa-onnx's names; greedy, or a beam. */
export type DecodingMethod = 'ctc_greedy' | 'ctc_beam' | 'greedy_search' | 'modified_beam_search';
export const DECODING_METHODS: readonly DecodingMethod[] = [
  'ctc_greedy',
  'ctc_beam',
  'greedy_search',
  'modified_beam_search',
];

export const isTransducerMethod = (method: DecodingMethod) =>
  method === 'greedy_search' || method === 'modified_beam_search';
export const isBeamMethod = (method: DecodingMethod) => method === 'ctc_beam' || method === 'modified_beam_search';

/** The default: greedy, over the CTC head when there is one. */
export const defaultMethod = ({ hasCtc }: ModelSizes): DecodingMethod => (hasCtc ? 'ctc_greedy' : 'greedy_search');

/** What a search needs beside a head's output. */
export interface SearchParts {
  /** The transducer's joiner on the CPU, or the context size alone where the GPU searches greedily. */
  transducer?: TransducerJoiner | { contextSize: number };
  /** Whether a CTC head has made the greedy choices already. */
  picked?: boolean;
}

/**
 * A search for one stream.
 *
 * @param before where the segment before ended; a fresh start by default
 * @throws RillError `bad-argument` for hotwords in a greedy search, which could not favour them, and for a method or
 * numbers that there are not.
 */
export function createDecoder(
  method: DecodingMethod,
  options: BeamSearchOptions,
  { transducer, picked = false }: SearchParts,
  before: DecoderEnding = { tokens: [] },
): Decoder {
  const { maxActivePaths, blankPenalty } = options;
  if (!DECODING_METHODS.includes(method)) {
    throw new RillError('bad-argument', {
      got: `decodingMethod: ${JSON.stringify(method)}`,
      expected: DECODING_METHODS.join(', '),
      remedy: 'Leave it out for the default.',
    });
  }
  checkSearchNumbers({ maxActivePaths, blankPenalty });
  if (options.hotwords && !isBeamMethod(method)) {
    throw new RillError('bad-argument', {
      got: `hotwords with ${method}`,
      expected: 'modified_beam_search or ctc_beam',
      remedy: 'A greedy search follows one path only; choose a beam search, or leave the hotwords out.',
    });
  }
  if (method === 'ctc_greedy') {
    return picked ? new CtcTokensDecoder(options, before.held) : new CtcGreedyDecoder(options, before.held);
  }
  if (method === 'ctc_beam') {
    return new CtcBeamDecoder(options, before.held);
  }
  if (!transducer) {
    throw noTransducer();
  }
  const context = [...initialContext(transducer, options.blankId), ...before.tokens].slice(-transducer.contextSize);
  if (!(transducer instanceof TransducerJoiner)) {
    return new GreedyTokensDecoder(options, context);
  }
  return method === 'greedy_search'
    ? new GreedySearchDecoder(transducer, options, context)
    : new ModifiedBeamSearchDecoder(transducer, options, context);
}
