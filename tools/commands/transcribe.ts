import { note, print } from '../terminal.ts';
import { RUNTIME_OPTIONS, parse, usageError, type Command } from './arguments.ts';
import { eachRecording } from './audio.ts';

const usage =
  'transcribe <model dir> <audio…> [--method ctc_greedy] [--chunk N] [--json] [--runtime node|chrome|firefox] [--adapter gpu|software]';

/** `  3.72   4.28  word`: seconds of a word's first and last token. */
export const timedLine = (start: number, end: number, text: string) =>
  `${start.toFixed(2).padStart(7)} ${end.toFixed(2).padStart(7)}  ${text}`;

export const transcribe: Command = {
  usage,
  summary: 'print the words of recordings with their times, as they are heard',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      method: { type: 'string', default: 'ctc_greedy' },
      chunk: { type: 'string' },
      json: { type: 'boolean' },
    });
    if (positionals.length < 2) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    if (values.method !== 'ctc_greedy') {
      throw usageError(`--method ${values.method} (this version has ctc_greedy only)`, { usage });
    }
    await eachRecording(
      { usage },
      positionals,
      values,
      (event) => {
        if (event.type === 'word' && !values.json) {
          print(timedLine(event.word.start, event.word.end, event.word.word));
        }
      },
      (path, { result, stats }) => {
        const { text, tokens, timestamps, words } = result;
        if (values.json) {
          print(JSON.stringify({ audio: path, text, tokens, timestamps, words }));
        } else {
          print(`${path}: ${text}`);
        }
        note(`${stats.audioSeconds.toFixed(2)} s, real-time factor ${stats.realTimeFactor.toFixed(3)}`);
      },
    );
  },
};
