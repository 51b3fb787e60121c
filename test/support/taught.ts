import type { ModelFiles } from '../../src/model/model.ts';
import { withTensors } from '../../src/model/tensors.ts';
import { writeModel } from '../../src/model/write.ts';
import { openModelFolder } from '../../src/node/files.ts';
import { CTC_HEAD } from '../../src/training/layout.ts';
import { requireTeachable, withPhraseToken } from '../../src/training/teach/phrase-token.ts';
import { wakeWordsFolder } from './fixtures.ts';

/**
 * The bundled model with a phrase beside its own that nobody had to teach it: its row of the head is the one of a letter, so that
 * it is heard, with about half of the probability, wherever that letter is.
 */
export async function taughtFiles(phrase: string, letter: string): Promise<ModelFiles> {
  const model = await withPhraseToken(requireTeachable(await openModelFolder(wakeWordsFolder)), phrase);
  const from = model.tokens.symbols.indexOf(letter);
  const changed = await Promise.all(
    ['weight', 'bias'].map(async (part) => {
      const name = `${CTC_HEAD}.${part}`;
      const { shape = [] } = model.weights.tensors.get(name) ?? {};
      const values = (await model.weights.read(name)).slice();
      const width = values.length / model.tokens.size;
      values.copyWithin(values.length - width, from * width, (from + 1) * width);
      return [name, { shape, values }] as const;
    }),
  );
  return writeModel({ ...model, weights: withTensors(model.weights, new Map(changed)) });
}
