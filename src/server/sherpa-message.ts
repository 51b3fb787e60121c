import { WORD_BOUNDARY, type TokenTable } from '../model/tokens.ts';
import type { RecognitionResult } from '../recognizer/results.ts';

/** A result in sherpa-onnx's words: times of tokens count from the start of the segment. */
export function sherpaMessage(result: RecognitionResult, { symbols }: Pick<TokenTable, 'symbols'>, isEof: boolean) {
  const { text, tokens, timestamps, tokenLogProbs, segment, words, startTime, isFinal } = result;
  return {
    text,
    tokens: tokens.map((id) => (symbols[id] ?? '').replaceAll(WORD_BOUNDARY, ' ')),
    timestamps: timestamps.map((time) => toMilliseconds(time - startTime)),
    ys_probs: tokenLogProbs,
    segment,
    words,
    start_time: startTime,
    is_final: isFinal,
    is_eof: isEof,
  };
}

const toMilliseconds = (seconds: number) => Math.round(1000 * seconds) / 1000;
