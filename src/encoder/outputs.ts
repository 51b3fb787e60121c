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

/** Outputs of the heads: an encoder gives them once they were asked for, by `provide`. */
export type HeadOutput = typeof CTC_LOG_PROBS | typeof CTC_TOKENS | typeof JOINER_ENCODER_PROJ | typeof GREEDY_TOKENS;
export type OutputName = typeof ENCODER_OUT | HeadOutput;

/** What a head may be told. */
export interface HeadOptions {
  /** Subtracted from the blank's logit before a token is chosen: `ctc_tokens` and `greedy_tokens`. 0 by default. */
  blankPenalty?: number;
}
