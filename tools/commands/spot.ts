import { DEFAULT_KEYWORD_THRESHOLD } from '../../src/decoder/keywords.ts';
import { KEYWORD_HEADS } from '../../src/recognizer/spotter.ts';
import { readText } from '../files.ts';
import { nameOf } from '../recordings.ts';
import { print, printable } from '../terminal.ts';
import { JSON_OPTION, KEYWORDS_OPTION, fraction, oneOf, parse, type Command, type Options } from './arguments.ts';
import { RECORDING_OPTIONS, eachRecording } from './audio.ts';
import { timedLine } from './transcribe.ts';

const usage = 'spot <model dir> <audio…> [options]';

const OPTIONS = {
  ...KEYWORDS_OPTION,
  threshold: {
    type: 'string',
    value: 'X',
    help: 'score of keywords whose line has no #threshold, 0 to 1',
    otherwise: String(DEFAULT_KEYWORD_THRESHOLD),
  },
  head: {
    type: 'string',
    value: KEYWORD_HEADS.join('|'),
    help: 'the head to look for them in',
    otherwise: 'ctc where the model has it',
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
    const options = {
      keywords,
      head: oneOf({ usage }, 'head', values.head, KEYWORD_HEADS),
      keywordsThreshold: fraction({ usage }, 'threshold', values.threshold),
    };
    return eachRecording({ usage }, positionals, values, {
      run: (runtime, input, onEvent) => runtime.run('spot', { ...input, options }, onEvent),
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
