import { note, print, printable } from '../terminal.ts';
import { RUNTIME_OPTIONS, parse, usageError, type Command } from './arguments.ts';
import { eachRecording } from './audio.ts';
import { SEARCH_OPTIONS, SEARCH_USAGE, readSearchOptions } from './search-options.ts';

const usage = `transcribe <model dir> <audio…> ${SEARCH_USAGE} [--chunk N] [--json] [--runtime node|chrome|firefox] [--adapter gpu|software]`;

/** `  3.72   4.28  word`: seconds of a word's first and last token. */
export const timedLine = (start: number, end: number, text: string) =>
  `${start.toFixed(2).padStart(7)} ${end.toFixed(2).padStart(7)}  ${text}`;

export const transcribe: Command = {
  usage,
  summary: 'print the words of recordings with their times, as they are heard',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      ...SEARCH_OPTIONS,
      chunk: { type: 'string' },
      json: { type: 'boolean' },
    });
    if (positionals.length < 2) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const { method, options } = await readSearchOptions({ usage }, values);
    await eachRecording(
      { usage },
      positionals,
      values,
      (runtime, recording, onEvent) =>
        runtime.run('transcribe', { ...recording, options: { decodingMethod: method, ...options } }, onEvent),
      (event) => {
        if (event.type === 'word' && !values.json) {
          print(timedLine(event.word.start, event.word.end, printable(event.word.word)));
        }
      },
      (path, { result, stats }) => {
        const { text, tokens, timestamps, words } = result;
        if (values.json) {
          print(JSON.stringify({ audio: path, text, tokens, timestamps, words }));
        } else {
          print(`${path}: ${printable(text)}`);
        }
        note(`${stats.audioSeconds.toFixed(2)} s, real-time factor ${stats.realTimeFactor.toFixed(3)}`);
      },
    );
  },
};
