import { describe, expect, it } from 'vitest';
import { parseConfig, writeConfig } from '../../src/model/config.ts';
import { openModel } from '../../src/model/model.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import { failure } from '../support/failure.ts';
import { wakeWordsModel } from '../support/fixtures.ts';

const letters = TokenTable.parse('<blk> 0\n▁ 1\na 2\nb 3\nc 4\n');

describe('tokens that stand for phrases', () => {
  it('take the mark of words where the table has it, and their spaces', () => {
    expect(letters.withPhrase('hey rill').symbols.at(-1)).toBe('hey▁rill▁');
    const bpe = TokenTable.parse('<blk> 0\n▁he 1\ny 2\n').withPhrase('hey rill');
    expect(bpe.symbols.at(-1)).toBe('▁hey▁rill');
    expect(bpe.text([3, 1, 2])).toBe('hey rill hey');
  });

  it('spell nothing, and do not change how text is spelled', () => {
    // A phrase of one letter, and one that is a word of the text.
    for (const phrase of ['a', 'abc']) {
      const taught = letters.withPhrase(phrase);
      expect(taught.encode('abc a')).toEqual(letters.encode('abc a'));
    }
  });

  it('are found by their text, and taken out again', () => {
    const taught = letters.withPhrase('hey rill').withPhrase('ok').withPhrase('go');
    expect([taught.phraseId('Hey Rill'), taught.phraseId('ok'), taught.phraseId('rill')]).toEqual([5, 6, undefined]);
    const left = taught.withoutPhrase(6);
    expect([left.phraseIds, left.text([6])]).toEqual([[5, 6], 'go']);
    expect(left.toString()).toBe(letters.withPhrase('hey rill').withPhrase('go').toString());
  });

  const sizes = async () => openModel(await wakeWordsModel()).sizes;

  it('are written into the config and read from it', async () => {
    const { encoder } = await sizes();
    const headed = { encoder, vocabSize: 31, hasCtc: true };
    const json = JSON.parse(writeConfig({ ...parseConfig({}, headed), phraseIds: [29, 30] }, headed)) as Readonly<
      Record<string, unknown>
    >;
    expect(json).toMatchObject({ phrase_ids: [29, 30], heads: ['ctc'] });
    expect(parseConfig(json, headed).phraseIds).toEqual([29, 30]);
    // Old folders say nothing of them.
    expect(parseConfig({}, headed)).not.toHaveProperty('phraseIds');
  });

  it.each([
    ['29', 29],
    ['[29, 29]', [29, 29]],
    ['[31]', [31]],
    ['[0]', [0]],
    ['[1.5]', [1.5]],
    ['["29"]', ['29']],
  ])('are refused as %s', async (_, ids) => {
    const { encoder } = await sizes();
    await failure('bad-model', () => parseConfig({ phrase_ids: ids }, { encoder, vocabSize: 31, hasCtc: true }));
  });

  it('need a CTC head, and heads that are stated are those of the tensors', async () => {
    const { encoder, transducer } = await sizes();
    const noCtc = { encoder, vocabSize: 31, transducer, hasCtc: false };
    expect(await failure('bad-model', () => parseConfig({ phrase_ids: [29] }, noCtc))).toContain('CTC head');
    expect(await failure('bad-model', () => parseConfig({ heads: ['ctc'] }, noCtc))).toContain('transducer');
  });
});
