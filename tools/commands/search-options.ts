import { DECODING_METHODS, type DecodingMethod } from '../../src/decoder/methods.ts';
import { readText } from '../files.ts';
import { oneOf, usageError, type Command, type Options } from './arguments.ts';

/** Options of the commands that search. */
export const SEARCH_OPTIONS = {
  method: {
    type: 'string',
    value: DECODING_METHODS.join('|'),
    help: 'how to decode',
    otherwise: 'ctc_greedy where the model has a CTC head, else greedy_search',
  },
  'max-active-paths': { type: 'string', value: 'N', help: 'paths that a beam search keeps', otherwise: '4' },
  'blank-penalty': { type: 'string', value: 'X', help: 'more for fewer deletions', otherwise: '0' },
  hotwords: { type: 'string', value: 'FILE', help: 'phrases to favour, one a line; needs a beam search' },
  'hotwords-score': { type: 'string', value: 'X', help: 'added for each token of a hotword', otherwise: '1.5' },
} as const satisfies Options;

export interface SearchChoice {
  method?: DecodingMethod;
  options: { maxActivePaths?: number; blankPenalty?: number; hotwords?: string; hotwordsScore?: number };
}

type Values = Partial<Record<keyof typeof SEARCH_OPTIONS, string>>;

/** @throws RillError for values out of range and files that are not there. */
export async function readSearchOptions(command: Pick<Command, 'usage'>, values: Values): Promise<SearchChoice> {
  const number = (name: keyof Values, valid: (value: number) => boolean) => {
    const text = values[name];
    const value = Number(text);
    if (text !== undefined && !(text.trim() !== '' && valid(value))) {
      throw usageError(`--${name} ${text}`, command);
    }
    return text === undefined ? undefined : value;
  };
  return {
    method: oneOf(command, 'method', values.method, DECODING_METHODS),
    options: {
      maxActivePaths: number('max-active-paths', (value) => Number.isInteger(value) && value >= 1 && value <= 1000),
      blankPenalty: number('blank-penalty', Number.isFinite),
      hotwords: values.hotwords === undefined ? undefined : await readText(values.hotwords),
      hotwordsScore: number('hotwords-score', Number.isFinite),
    },
  };
}
