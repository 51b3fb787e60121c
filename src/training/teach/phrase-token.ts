import { requireCtc } from '../../encoder/checks.ts';
import { RillError, shown } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import { elementCount, withTensors, type TensorSource } from '../../model/tensors.ts';
import { WORD_BOUNDARY, type TokenTable } from '../../model/tokens.ts';
import { DEFAULT_PHRASE_THRESHOLD } from '../../decoder/keywords.ts';
import { CTC_HEAD } from '../layout.ts';

/** Letters of a phrase, at most. */
const LONGEST_TEXT = 100;
const FEWEST_LAYERS = 2;

/** A model with tokens, which phrases are taught to. */
export type SpellingModel = Model & { tokens: TokenTable };

/**
 * A model that can be taught.
 *
 * @throws RillError `bad-model` without a CTC head or tokens, of a single layer, and where the blank is another token than 0.
 */
export function requireTeachable({ tokens, ...model }: Model): SpellingModel {
  requireCtc(model.sizes);
  if (!tokens || model.config.blankId !== 0) {
    throw new RillError('bad-model', {
      got: tokens ? `blank_id: ${model.config.blankId}` : 'a model without tokens.txt',
      expected: 'a token table whose blank is 0',
      remedy: 'Teach a model of icefall: phrases are tokens beside its own.',
    });
  }
  if (model.sizes.encoder.numEncoderLayers < FEWEST_LAYERS) {
    throw new RillError('bad-model', {
      got: 'a model of one layer',
      expected: `at least ${FEWEST_LAYERS}: the first one stays as it is`,
      remedy: 'Teach a larger model.',
    });
  }
  return { ...model, tokens };
}

/** A phrase as it is to be reported: single spaces between its words. @throws RillError `bad-argument`. */
export function phraseText(phrase: string): string {
  const text = phrase.trim().replace(/\s+/g, ' ');
  if (text === '' || text.length > LONGEST_TEXT || /[\p{C}]/u.test(text) || text.includes(WORD_BOUNDARY)) {
    throw new RillError('bad-argument', {
      got: `the phrase ${shown(phrase)}`,
      expected: `words of up to ${LONGEST_TEXT} letters`,
      remedy: 'Write the phrase as it is to be shown.',
    });
  }
  return text;
}

/** The head with its rows chosen anew: -1 for a row of zeros. */
async function withRows({ weights, sizes }: Model, rows: readonly number[]): Promise<TensorSource> {
  const chosen = async (name: string, width: number, shape: readonly number[]) => {
    const values = await weights.read(name);
    const all = new Float32Array(elementCount(shape));
    rows.forEach((row, i) => {
      if (row >= 0) {
        all.set(values.subarray(row * width, (row + 1) * width), i * width);
      }
    });
    return [name, { shape, values: all }] as const;
  };
  const { dModel } = sizes.encoder;
  return withTensors(
    weights,
    new Map([
      await chosen(`${CTC_HEAD}.weight`, dModel, [rows.length, dModel]),
      await chosen(`${CTC_HEAD}.bias`, 1, [rows.length]),
    ]),
  );
}

/** A model in which the odds of all phrases that it was taught, against all else, are so many times what they were. */
export async function withPhraseOdds<Of extends Model>(model: Of, factor: number): Promise<Of> {
  const name = `${CTC_HEAD}.bias`;
  const ids = model.tokens?.phraseIds ?? [];
  const values = await model.weights.read(name);
  const shifted = values.map((bias, id) => (ids.includes(id) ? bias + Math.log(factor) : bias));
  return {
    ...model,
    weights: withTensors(model.weights, new Map([[name, { shape: [values.length], values: shifted }]])),
  };
}

/** A model over the CTC head alone, with these tokens, whose rows of the head are the old ones. */
async function withTokens(model: Model, tokens: TokenTable, rows: readonly number[]): Promise<SpellingModel> {
  const { encoder } = model.sizes;
  const phraseIds = tokens.phraseIds.length > 0 ? tokens.phraseIds : undefined;
  return {
    sizes: { encoder, vocabSize: tokens.size, hasCtc: true },
    config: { ...model.config, phraseIds },
    weights: await withRows(model, rows),
    tokens,
    keywords: model.keywords,
  };
}

const rowsOf = (count: number) => Array.from({ length: count }, (_, row) => row);

/**
 * A model with a token more, a row of zeros, that stands for a phrase: the folder's keywords have it. Decoder and joiner are left
 * out: they would not hear what the layers below say from now on.
 *
 * @throws RillError `bad-argument` for a phrase that it was taught already.
 */
export async function withPhraseToken(model: SpellingModel, phrase: string): Promise<SpellingModel> {
  if (model.tokens.phraseId(phrase) !== undefined) {
    throw new RillError('bad-argument', {
      got: `${shown(phrase)}, which the model was taught`,
      expected: 'another phrase',
      remedy: 'Take it out first: unteachPhrase, or rill unteach.',
    });
  }
  const tokens = model.tokens.withPhrase(phrase);
  const line = `${tokens.symbols[tokens.size - 1]} #${DEFAULT_PHRASE_THRESHOLD}\n`;
  const before = (model.keywords ?? '').replace(/(?<=[^\n])$/, '\n');
  const taught = await withTokens(model, tokens, [...rowsOf(model.tokens.size), -1]);
  return { ...taught, keywords: before + line };
}

/** A model without a phrase, its token, its row of the head and its keywords. @throws RillError `bad-argument`. */
export async function withoutPhraseToken(model: SpellingModel, phrase: string): Promise<SpellingModel> {
  const { tokens } = model;
  const id = tokens.phraseId(phrase);
  if (id === undefined) {
    const known = tokens.phraseIds.map((each) => tokens.text([each]));
    throw new RillError('bad-argument', {
      got: `${shown(phrase)}, which the model was not taught`,
      expected: known.length > 0 ? known.join(', ') : 'a model that was taught phrases',
      remedy: 'Name a phrase that it was taught.',
    });
  }
  const others = rowsOf(tokens.size).filter((row) => row !== id);
  const symbol = tokens.symbols[id];
  const lines = model.keywords?.split(/(?<=\n)/).filter((line) => !line.split(/\s+/).includes(symbol));
  return { ...(await withTokens(model, tokens.withoutPhrase(id), others)), keywords: lines?.join('') };
}
