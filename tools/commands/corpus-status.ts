import type { CorpusQueue, CorpusStatus } from '../../src/server/corpus/queue.ts';
import { clock } from '../clock.ts';
import { megabytes, note, print, table } from '../terminal.ts';
import { JSON_OPTION, parse, usageError, type Command, type Options } from './arguments.ts';
import { QUEUE_OPTIONS, withQueue } from './corpus-options.ts';

export const STATUS_OPTIONS = { ...QUEUE_OPTIONS, ...JSON_OPTION } as const satisfies Options;

function report({ jobs, ...status }: CorpusStatus): string {
  const { state, files, total, setAside, seconds, totalSeconds, workers, speed, secondsLeft, bytes, heldBytes } =
    status;
  const left = state === 'finished' ? 'none' : 'not known while nothing moves';
  return table([
    ['state', state],
    ['files', `${files} of ${total}`],
    ['set aside', String(setAside)],
    ['audio', `${clock(seconds)} of about ${clock(totalSeconds)}`],
    ['jobs waiting / at work / to be tried again', `${jobs.waiting} / ${jobs.active} / ${jobs.delayed}`],
    ['workers', String(workers)],
    ['speed', `${speed.toFixed(1)} times real time`],
    ['time left', secondsLeft === undefined || state === 'finished' ? left : `about ${clock(secondsLeft)}`],
    ['results in Redis', `${megabytes(bytes)} of ${megabytes(heldBytes)} MB`],
  ]);
}

export const corpusStatus: Command = {
  usage: 'corpus status --queue URL [options]',
  summary: 'how far a corpus is: files, audio, jobs, workers, speed, time left',
  options: STATUS_OPTIONS,
  example: 'corpus status --queue redis://queue.example:6379 --json',
  async run(args) {
    const { values, positionals } = parse(corpusStatus, args, STATUS_OPTIONS);
    if (positionals.length > 0) {
      throw usageError(`${positionals.length} paths`, corpusStatus);
    }
    const status = await withQueue(corpusStatus, values, (queue) => queue.status());
    print(values.json ? JSON.stringify(status) : report(status));
    return undefined;
  },
};

/** A command that does one thing to a queue. */
function control(verb: string, summary: string, done: string, act: (queue: CorpusQueue) => Promise<void>): Command {
  const command: Command = {
    usage: `corpus ${verb} --queue URL [--name NAME]`,
    summary,
    options: QUEUE_OPTIONS,
    example: `corpus ${verb} --queue redis://queue.example:6379`,
    async run(args) {
      const { values, positionals } = parse(command, args, QUEUE_OPTIONS);
      if (positionals.length > 0) {
        throw usageError(`${positionals.length} paths`, command);
      }
      await withQueue(command, values, act);
      note(`${values.name}: ${done}`);
      return undefined;
    },
  };
  return command;
}

export const pauseCorpus = control(
  'pause',
  'begin no further job; those that workers are at are ended',
  'paused',
  (queue) => queue.pause(),
);
export const resumeCorpus = control('resume', 'go on after a pause', 'goes on', (queue) => queue.resume());
export const clearCorpus = control(
  'clear',
  'forget a corpus: its jobs, and results that are still in Redis',
  'cleared',
  (queue) => queue.clear(),
);
