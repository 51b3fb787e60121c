import { readText } from '../files.ts';
import { print, printable } from '../terminal.ts';
import { RUNTIME_OPTIONS, parse, usageError, type Command } from './arguments.ts';
import { eachRecording } from './audio.ts';
import { timedLine } from './transcribe.ts';

const usage =
  'spot <model dir> <audio…> [--keywords keywords.txt] [--chunk N] [--json] [--runtime node|chrome|firefox] [--adapter gpu|software]';

export const spot: Command = {
  usage,
  summary: 'report keywords in recordings',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      keywords: { type: 'string' },
      chunk: { type: 'string' },
      json: { type: 'boolean' },
    });
    if (positionals.length < 2) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const keywords = values.keywords === undefined ? undefined : await readText(values.keywords);
    await eachRecording(
      { usage },
      positionals,
      values,
      (runtime, recording, onEvent) => runtime.run('spot', { ...recording, options: { keywords } }, onEvent),
      (event, path) => {
        if (event.type === 'keyword' && !values.json) {
          const { keyword, start, end, score } = event.hit;
          const where = positionals.length > 2 ? `${path}: ` : '';
          print(`${where}${timedLine(start, end, printable(keyword))}  ${score.toFixed(3)}`);
        }
      },
      (path, { keywords: heard }) => {
        if (values.json) {
          print(JSON.stringify({ audio: path, keywords: heard }));
        } else if (heard.length === 0) {
          print(`${path}: no keyword`);
        }
      },
    );
  },
};
