import { shown } from '../errors.ts';
import { Refusal } from './refusal.ts';
import { SAMPLE_FORMATS, type SampleFormat } from './samples.ts';

/** What a client's samples are, where it does not say: what sherpa-onnx's clients send. */
const DEFAULT_FORMAT: SampleFormat = 'f32le';
/** What a client sends. */
export interface SentAudio {
  /** Samples per second. */
  sampleRate: number;
  /** What a sample is. */
  format: SampleFormat;
}

/**
 * What a client sends by the query of its address: `sample_rate` and `format`.
 *
 * @param modelRate where it does not say
 * @throws Refusal `bad-request`.
 */
export const sentAudio = (query: URLSearchParams, modelRate: number): SentAudio => ({
  sampleRate: rateOf(query.get('sample_rate')) ?? modelRate,
  format: formatOf(query.get('format')) ?? DEFAULT_FORMAT,
});

/** @throws Refusal `bad-request` for what is no rate at all; whether the resampler takes it, that says. */
export function rateOf(value: unknown): number | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const rate = Number(value);
  if (!Number.isInteger(rate) || rate < 1) {
    throw badFormat(`sample_rate ${shown(value)}`, 'samples per second, a whole number');
  }
  return rate;
}

export function formatOf(value: unknown): SampleFormat | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const format = SAMPLE_FORMATS.find((each) => each === value);
  if (format === undefined) {
    throw badFormat(`format ${shown(value)}`, SAMPLE_FORMATS.join(' or '));
  }
  return format;
}

const badFormat = (got: string, expected: string) =>
  new Refusal('bad-request', { got, expected, remedy: 'Leave it out for float32 at the model’s own rate.' });
