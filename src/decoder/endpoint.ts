import { RillError } from '../errors.ts';

/** One endpoint rule of Kaldi (online2/online-endpoint.h): it holds when all its parts do. */
export interface EndpointRule {
  /** Something must have been decoded. */
  mustContainNonSilence: boolean;
  /** Seconds of blanks at the end. */
  minTrailingSilence: number;
  /** Seconds since the start of the segment. */
  minUtteranceLength: number;
}

export type EndpointRules = Record<'rule1' | 'rule2' | 'rule3', EndpointRule>;

/** sherpa-onnx's: a long silence; a shorter one after speech; a long utterance. */
export const ENDPOINT_DEFAULTS: Readonly<EndpointRules> = {
  rule1: { mustContainNonSilence: false, minTrailingSilence: 2.4, minUtteranceLength: 0 },
  rule2: { mustContainNonSilence: true, minTrailingSilence: 1.2, minUtteranceLength: 0 },
  rule3: { mustContainNonSilence: false, minTrailingSilence: 0, minUtteranceLength: 20 },
};

/** Fills in the rules that are left out. @throws RillError `bad-argument` for a time that is no number of seconds. */
export function resolveEndpointRules({ rule1, rule2, rule3 }: Partial<EndpointRules> = {}): EndpointRules {
  const rules = {
    rule1: rule1 ?? ENDPOINT_DEFAULTS.rule1,
    rule2: rule2 ?? ENDPOINT_DEFAULTS.rule2,
    rule3: rule3 ?? ENDPOINT_DEFAULTS.rule3,
  };
  for (const [name, { minTrailingSilence, minUtteranceLength }] of Object.entries(rules)) {
    if (!(minTrailingSilence >= 0 && minUtteranceLength >= 0)) {
      throw new RillError('bad-argument', {
        got: `${name} with a minTrailingSilence of ${minTrailingSilence}, a minUtteranceLength of ${minUtteranceLength}`,
        expected: 'seconds, 0 or more',
        remedy: 'Give a rule whole, or leave it out; Infinity for one that never holds.',
      });
    }
  }
  return rules;
}

/** Whether any rule holds. */
export function isEndpoint(
  rules: Readonly<EndpointRules>,
  heard: { hasSpeech: boolean; trailingSilence: number; utteranceLength: number },
): boolean {
  return [rules.rule1, rules.rule2, rules.rule3].some(
    ({ mustContainNonSilence, minTrailingSilence, minUtteranceLength }) =>
      (heard.hasSpeech || !mustContainNonSilence) &&
      heard.trailingSilence >= minTrailingSilence &&
      heard.utteranceLength >= minUtteranceLength,
  );
}
