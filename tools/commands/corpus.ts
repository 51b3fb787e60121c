import { RillError } from '../../src/errors.ts';
import type { Command } from './arguments.ts';
import { COLLECT_OPTIONS, collectCorpus } from './corpus-collect.ts';
import { STATUS_OPTIONS, clearCorpus, corpusStatus, pauseCorpus, resumeCorpus } from './corpus-status.ts';
import { SUBMIT_OPTIONS, submitCorpus } from './corpus-submit.ts';
import { WORK_OPTIONS, workOnCorpus } from './corpus-work.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
  submit: submitCorpus,
  work: workOnCorpus,
  status: corpusStatus,
  collect: collectCorpus,
  pause: pauseCorpus,
  resume: resumeCorpus,
  clear: clearCorpus,
};

/** Transcribes many recordings, by a queue or in one process. */
export const corpus: Command = {
  usage: `corpus ${Object.keys(COMMANDS).join('|')} …`,
  summary: 'transcribe many recordings: jobs for any number of machines, or one process that can be resumed',
  options: { ...SUBMIT_OPTIONS, ...WORK_OPTIONS, ...STATUS_OPTIONS, ...COLLECT_OPTIONS },
  commands: COMMANDS,
  async run([name]) {
    throw new RillError('bad-argument', {
      got: name === undefined ? 'corpus without a command' : `the command corpus ${name}`,
      expected: Object.keys(COMMANDS).join(', '),
      remedy: 'See rill corpus --help.',
    });
  },
};
