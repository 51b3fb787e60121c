import { RillError } from '../../errors.ts';
import type { Model, ModelFiles } from '../../model/model.ts';

/**
 * Takes a phrase out that a model was taught: its token, its row of the head and its keyword. The layers stay as they are, and so
 * do all other phrases.
 *
 * @throws RillError `bad-argument` for a phrase that it was not taught.
 */
export function unteachPhrase(_model: Model, phrase: string): Promise<ModelFiles> {
  throw new RillError('internal', { got: phrase, expected: 'it to be written', remedy: 'Wait.' });
}
