import { readText } from '../files.ts';
import { nameOf } from '../recordings.ts';
import { print, printable } from '../terminal.ts';
import { JSON_OPTION, parse, type Command, type Options } from './arguments.ts';
import { RECORDING_OPTIONS, eachRecording } from './audio.ts';
import { timedLine } from './transcribe.ts';

const usage = 'spot <model dir> <audio…> [options]';

const OPTIONS = {
  keywords: {
    type: 'string',
    value: 'FILE',
    help: 'what to listen for, one a line',
    otherwise: 'the model folder’s own',
  },
  ...JSON_OPTION,
  ...RECORDING_OPTIONS,
} as const satisfies Options;

export const spot: Command = {
  usage,
  summary: 'report keywords in recordings (WAV, anything ffmpeg reads, or - for stdin)',
  options: OPTIONS,
  example: 'spot weights/wake-words weights/wake-words/samples/stream.wav',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const keywords = values.keywords === undefined ? undefined : await readText(values.keywords);
    return eachRecording({ usage }, positionals, values, {
      run: (runtime, input, onEvent) => runtime.run('spot', { ...input, options: { keywords } }, onEvent),
      onEvent: (event, name) => {
        if (event.type === 'keyword' && !values.json) {
          const { keyword, start, end, score } = event.hit;
          const where = positionals.length > 2 ? `${name}: ` : '';
          print(`${where}${timedLine(start, end, printable(keyword))}  ${score.toFixed(3)}`);
        }
      },
      onResult: (path, { keywords: heard }) => {
        if (values.json) {
          print(JSON.stringify({ audio: path, keywords: heard }));
        } else if (heard.length === 0) {
          print(`${nameOf(path)}: no keyword`);
        }
      },
    });
  },
};
