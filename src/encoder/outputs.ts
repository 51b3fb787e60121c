/** What a step can give of each frame of a stream, by name; (frames, width) each. */

/** The encoder's own output, (frames, d_model). */
export const ENCODER_OUT = 'encoder_out';
/** The CTC head's log-probabilities, (frames, vocab_size). */
export const CTC_LOG_PROBS = 'ctc_log_probs';
/** The CTC head's greedy choices, (frames, 2): the token, and its log-probability. */
export const CTC_TOKENS = 'ctc_tokens';
/** The encoder's side of the joiner, (frames, joiner_dim): all that a transducer search needs of a frame. */
export const JOINER_ENCODER_PROJ = 'joiner_encoder_proj';
/** The choices of the transducer's greedy search, (frames, 2): the token, and its log-probability. */
export const GREEDY_TOKENS = 'greedy_tokens';

/**
 * What a step can give of each frame of a stream:
 *
 * - `encoder_out`, (frames, d_model): the encoder's own output;
 * - `ctc_log_probs`, (frames, vocab_size): the CTC head's log-probabilities;
 * - `ctc_tokens`, (frames, 2): its greedy choices, the token and its log-probability;
 * - `joiner_encoder_proj`, (frames, joiner_dim): the encoder's side of the joiner;
 * - `greedy_tokens`, (frames, 2): the choices of the transducer's greedy search, on WebGPU only.
 */
export type OutputName = 'encoder_out' | 'ctc_log_probs' | 'ctc_tokens' | 'joiner_encoder_proj' | 'greedy_tokens';

/** Outputs of the heads: an encoder gives them once they were asked for, by `provide`. */
export type HeadOutput = Exclude<OutputName, typeof ENCODER_OUT>;

/** What a head may be told. */
export interface HeadOptions {
  /** Subtracted from the blank's logit before a token is chosen: `ctc_tokens` and `greedy_tokens`. 0 by default. */
  blankPenalty?: number;
}
