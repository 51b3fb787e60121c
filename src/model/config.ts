import { RillError, shown } from '../errors.ts';
import { FBANK_DEFAULTS, Fbank, frameShiftOf, type FbankOptions } from '../features/fbank.ts';
import { SUBSAMPLING_FACTOR, type ModelSizes } from './sizes.ts';
import type { TokenTable } from './tokens.ts';

/** What a model folder's `config.json` adds to its tensors. */
export interface ModelConfig {
  /** The blank’s token id. */
  blankId: number;
  /** The token that decoding treats as blank, if the model has one. */
  unkId?: number;
  /** Tokens that each stand for a whole phrase that the model was taught (docs/teaching.md); absent where it was taught none. */
  phraseIds?: readonly number[];
  /** What features the model was trained with. */
  features: FbankOptions;
}

/** Seconds from one encoder frame to the next. */
export const secondsPerFrame = ({ features }: ModelConfig) =>
  (SUBSAMPLING_FACTOR * frameShiftOf(features)) / features.sampleRate;

type Json = Readonly<Record<string, unknown>>;

function bad(got: string, expected: string): RillError {
  return new RillError('bad-model', { got, expected, remedy: 'Correct config.json.' });
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A member of a JSON object, checked to be of the type of its default. */
function member<Value extends number | boolean | string>(json: Json, key: string, otherwise: Value): Value {
  const value = json[key] ?? otherwise;
  if (typeof value !== typeof otherwise || (typeof value === 'number' && !Number.isFinite(value))) {
    throw bad(`${key}: ${shown(value)}`, `a ${typeof otherwise}`);
  }
  return value as Value;
}

/** A second at 16 kHz: forty times what speech needs, and an FFT that every machine has room for. */
const MAX_FRAME_SAMPLES = 16384;

/** Feature options that have one value here; any other is refused rather than ignored. */
const FIXED_FEATURES: Json = { dither: 0, round_to_power_of_two: true, use_energy: false, use_log: true };

function parseFeatures(json: Json, numFeatures: number): FbankOptions {
  for (const [key, value] of Object.entries(FIXED_FEATURES)) {
    if (json[key] !== undefined && json[key] !== value) {
      throw bad(`features with ${key}: ${shown(json[key])}`, `${key}: ${shown(value)}`);
    }
  }
  const window = member(json, 'window', FBANK_DEFAULTS.window as string);
  if (window !== 'povey' && window !== 'hanning' && window !== 'hamming' && window !== 'rectangular') {
    throw bad(`window: ${shown(window)}`, 'povey, hanning, hamming or rectangular');
  }
  const options: FbankOptions = {
    sampleRate: member(json, 'sample_rate', FBANK_DEFAULTS.sampleRate),
    numMelBins: member(json, 'num_mel_bins', numFeatures),
    frameLengthMs: member(json, 'frame_length_ms', FBANK_DEFAULTS.frameLengthMs),
    frameShiftMs: member(json, 'frame_shift_ms', FBANK_DEFAULTS.frameShiftMs),
    window,
    preemphasis: member(json, 'preemphasis', FBANK_DEFAULTS.preemphasis),
    removeDcOffset: member(json, 'remove_dc_offset', FBANK_DEFAULTS.removeDcOffset),
    lowFreq: member(json, 'low_freq', FBANK_DEFAULTS.lowFreq),
    highFreq: member(json, 'high_freq', FBANK_DEFAULTS.highFreq),
    snipEdges: member(json, 'snip_edges', FBANK_DEFAULTS.snipEdges),
    usePower: member(json, 'use_power', FBANK_DEFAULTS.usePower),
  };
  if (options.numMelBins !== numFeatures) {
    throw bad(`num_mel_bins: ${options.numMelBins}`, `${numFeatures}, the width that the encoder takes`);
  }
  const { sampleRate, frameLengthMs, frameShiftMs, preemphasis } = options;
  const isDuration = (ms: number) => ms >= 1 && ms <= 1000;
  if (!(Number.isInteger(sampleRate) && sampleRate >= 1000 && sampleRate <= 768_000)) {
    throw bad(`sample_rate: ${sampleRate}`, 'a whole number from 1000 to 768000');
  }
  if (
    !isDuration(frameLengthMs) ||
    !isDuration(frameShiftMs) ||
    (sampleRate * frameLengthMs) / 1000 > MAX_FRAME_SAMPLES
  ) {
    throw bad(
      `frames of ${frameLengthMs} ms every ${frameShiftMs} ms at ${sampleRate} Hz`,
      `1 to 1000 ms, at most ${MAX_FRAME_SAMPLES} samples`,
    );
  }
  if (preemphasis < 0 || preemphasis > 1) {
    throw bad(`preemphasis: ${preemphasis}`, 'a number from 0 to 1');
  }
  checkBand(options);
  return options;
}

/** What the feature extractor itself would refuse is refused here, before anything is loaded. */
function checkBand(options: FbankOptions): void {
  try {
    new Fbank(options);
  } catch (error) {
    throw error instanceof RillError ? bad(error.got, error.expected) : error;
  }
}

export function parseJson(text: string, name = 'config.json'): Json {
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw bad(`${name} that is not JSON (${String(cause)})`, 'a JSON object');
  }
  if (!isObject(json)) {
    throw bad(`${name} that holds ${shown(json)}`, 'a JSON object');
  }
  return json;
}

/** The sizes that a config states: Rill's, at the root or under `encoder`, or icefall's parameters by their names. */
function statedSizes(json: Json): Json {
  const { feature_dim, encoder_dim, encoder, feature } = json;
  const numMelBins = isObject(feature) ? feature.num_mel_bins : undefined;
  const names = { num_features: feature_dim ?? numMelBins, d_model: encoder_dim };
  return { ...names, ...json, ...(isObject(encoder) && encoder) };
}

/** Mel bins, when a config states them; tensors alone leave up to four candidates. */
export function configuredFeatures(json: Json): number | undefined {
  const value = statedSizes(json).num_features;
  if (value !== undefined && !(Number.isInteger(value) && (value as number) >= 9 && (value as number) <= 4096)) {
    throw bad(`num_features: ${shown(value)}`, 'a whole number from 9 to 4096');
  }
  return value as number | undefined;
}

/**
 * Reads a config, either Rill's own or a recipe's hyper-parameters with sizes at the root, and checks that the
 * sizes it states are those of the tensors. Blank and unknown token are found by name where it does not state them
 * (`"unk_id": null` states that there is none).
 *
 * @throws RillError `bad-model`.
 */
export function parseConfig(json: Json, sizes: ModelSizes, tokens?: TokenTable): ModelConfig {
  const stated = statedSizes(json);
  const actual = sizesToJson(sizes);
  for (const [key, value] of Object.entries({ ...actual, ...actual.encoder })) {
    if (typeof value === 'number' && stated[key] !== undefined && stated[key] !== value) {
      throw bad(`${key}: ${shown(stated[key])}`, `${value}, as the tensors have it`);
    }
  }
  const blankId = member(json, 'blank_id', tokens?.blankId ?? 0);
  const unkId =
    json.unk_id === undefined ? tokens?.unkId : json.unk_id === null ? undefined : member(json, 'unk_id', 0);
  for (const [key, id] of Object.entries({ blank_id: blankId, unk_id: unkId ?? 0 })) {
    if (!Number.isInteger(id) || id < 0 || id >= (sizes.vocabSize ?? Infinity)) {
      throw bad(`${key}: ${id}`, sizes.vocabSize === undefined ? 'a token id' : `a token id below ${sizes.vocabSize}`);
    }
  }
  const features = json.feature ?? {};
  if (!isObject(features)) {
    throw bad(`feature: ${shown(features)}`, 'an object of feature options');
  }
  checkHeads(json, sizes);
  const phraseIds = parsePhraseIds(json, sizes, [blankId, unkId]);
  return {
    blankId,
    unkId,
    ...(phraseIds && { phraseIds }),
    features: parseFeatures(features, sizes.encoder.numFeatures),
  };
}

const headsOf = ({ transducer, hasCtc }: ModelSizes) => [
  ...(transducer ? ['transducer'] : []),
  ...(hasCtc ? ['ctc'] : []),
];

/** Heads that a config states are those of the tensors. */
function checkHeads({ heads }: Json, sizes: ModelSizes): void {
  const actual = headsOf(sizes);
  const isRight =
    Array.isArray(heads) && heads.length === actual.length && actual.every((head) => heads.includes(head));
  if (heads !== undefined && !isRight) {
    throw bad(`heads: ${shown(heads)}`, `${JSON.stringify(actual)}, as the tensors have them`);
  }
}

function parsePhraseIds(
  { phrase_ids: ids }: Json,
  { vocabSize = 0, hasCtc }: ModelSizes,
  taken: readonly (number | undefined)[],
): readonly number[] | undefined {
  if (ids === undefined) {
    return undefined;
  }
  const isFree = (id: unknown): id is number =>
    Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize && !taken.includes(id as number);
  // No more phrases than tokens are looked at, however long the list is.
  if (!Array.isArray(ids) || ids.length > vocabSize || !ids.every(isFree) || new Set(ids).size < ids.length) {
    throw bad(`phrase_ids: ${shown(ids)}`, `different token ids below ${vocabSize}, neither blank nor unknown`);
  }
  if (ids.length > 0 && !hasCtc) {
    throw bad('phrase_ids in a model without a CTC head', 'a CTC head, which alone is taught phrases');
  }
  return ids.length > 0 ? ids : undefined;
}

function sizesToJson({ encoder, vocabSize, transducer }: ModelSizes) {
  return {
    encoder: {
      num_features: encoder.numFeatures,
      subsampling_factor: SUBSAMPLING_FACTOR,
      d_model: encoder.dModel,
      rnn_hidden_size: encoder.rnnHiddenSize,
      dim_feedforward: encoder.dimFeedforward,
      num_encoder_layers: encoder.numEncoderLayers,
    },
    vocab_size: vocabSize,
    decoder_dim: transducer?.decoderDim,
    joiner_dim: transducer?.joinerDim,
    context_size: transducer?.contextSize,
  };
}

/** The text of `config.json`; it says so where a token that is called `<unk>` counts as any other. */
export function writeConfig(
  { blankId, unkId, phraseIds, features }: ModelConfig,
  sizes: ModelSizes,
  tokens?: TokenTable,
): string {
  const json = {
    model_type: 'lstm_transducer_stateless',
    // Said where it may surprise: this kind of model usually has both.
    heads: sizes.transducer ? undefined : headsOf(sizes),
    ...sizesToJson(sizes),
    blank_id: blankId,
    unk_id: unkId ?? (tokens?.unkId === undefined ? undefined : null),
    phrase_ids: phraseIds,
    feature: {
      sample_rate: features.sampleRate,
      num_mel_bins: features.numMelBins,
      frame_length_ms: features.frameLengthMs,
      frame_shift_ms: features.frameShiftMs,
      window: features.window,
      preemphasis: features.preemphasis,
      remove_dc_offset: features.removeDcOffset,
      low_freq: features.lowFreq,
      high_freq: features.highFreq,
      snip_edges: features.snipEdges,
      use_power: features.usePower,
    },
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
