import { openModel } from '../../src/model/model.ts';
import { unteachPhrase } from '../../src/training/teach/unteach.ts';
import { keywordPhrases } from '../evaluation.ts';
import { readModelFiles, writeFolder } from '../files.ts';
import { print, printable } from '../terminal.ts';
import { parse, usageError, type Command, type Options } from './arguments.ts';

const usage = 'unteach <phrase> --model <model dir> --out <dir>';

const OPTIONS = {
  model: { type: 'string', value: 'DIR', help: 'the model folder that was taught the phrase' },
  out: { type: 'string', short: 'o', value: 'DIR', help: 'the folder to write; it may be the same' },
} as const satisfies Options;

export const unteach: Command = {
  usage,
  summary: 'take a phrase out that a model was taught',
  options: OPTIONS,
  example: 'unteach "hey rill" --model my-words --out my-words',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [phrase, ...others] = positionals;
    const { model, out } = values;
    if (phrase === undefined || others.length > 0 || model === undefined || out === undefined) {
      throw usageError(`${positionals.length} phrases, ${model ? 'a' : 'no'} model and ${out ? 'an' : 'no'} --out`, {
        usage,
      });
    }
    const files = await unteachPhrase(openModel(await readModelFiles(model)), phrase);
    await writeFolder(out, { ...files });
    print(`${out} knows ${keywordPhrases(openModel(files)).map(printable).join(', ') || 'no phrase'}`);
  },
};
