import type { Model, ModelFiles } from '../../model/model.ts';
import { writeModel } from '../../model/write.ts';
import { phraseText, requireTeachable, withoutPhraseToken } from './phrase-token.ts';

/**
 * Takes a phrase out that a model was taught: its token, its row of the head and its keyword. The layers stay as they are, and so
 * do all other phrases.
 *
 * @throws RillError `bad-argument` for a phrase that it was not taught, `bad-model` without a CTC head and tokens.
 */
export async function unteachPhrase(model: Model, phrase: string): Promise<ModelFiles> {
  return writeModel(await withoutPhraseToken(requireTeachable(model), phraseText(phrase)));
}
