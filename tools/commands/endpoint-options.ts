import { ENDPOINT_DEFAULTS, type EndpointRules } from '../../src/decoder/endpoint.ts';
import { amount, type Call, type Options } from './arguments.ts';

/** When a segment ends, by sherpa-onnx's rules and names. */
export const ENDPOINT_OPTIONS = {
  'rule1-min-trailing-silence': {
    type: 'string',
    value: 'N',
    help: 'seconds of silence that end a segment in which nothing was said',
    otherwise: String(ENDPOINT_DEFAULTS.rule1.minTrailingSilence),
  },
  'rule2-min-trailing-silence': {
    type: 'string',
    value: 'N',
    help: 'seconds of silence that end a segment after speech',
    otherwise: String(ENDPOINT_DEFAULTS.rule2.minTrailingSilence),
  },
  'rule3-min-utterance-length': {
    type: 'string',
    value: 'N',
    help: 'seconds that end a segment in any case',
    otherwise: String(ENDPOINT_DEFAULTS.rule3.minUtteranceLength),
  },
} as const satisfies Options;

type Values = Partial<Record<keyof typeof ENDPOINT_OPTIONS, string>>;

/** @throws RillError for what is no number of seconds. */
export function readEndpointOptions(command: Call, values: Values): EndpointRules {
  const { rule1, rule2, rule3 } = ENDPOINT_DEFAULTS;
  const seconds = (name: keyof Values, otherwise: number) => amount(command, name, values[name]) ?? otherwise;
  return {
    rule1: {
      ...rule1,
      minTrailingSilence: seconds('rule1-min-trailing-silence', rule1.minTrailingSilence),
    },
    rule2: {
      ...rule2,
      minTrailingSilence: seconds('rule2-min-trailing-silence', rule2.minTrailingSilence),
    },
    rule3: {
      ...rule3,
      minUtteranceLength: seconds('rule3-min-utterance-length', rule3.minUtteranceLength),
    },
  };
}
