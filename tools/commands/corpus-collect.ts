import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { collectAll, linesInOrder } from '../../src/server/corpus/collect.ts';
import type { CorpusQueue } from '../../src/server/corpus/queue.ts';
import { ResultsFile } from '../../src/server/corpus/results-file.ts';
import { Progress, currentTerminal, note } from '../terminal.ts';
import { parse, usageError, type Command, type Options } from './arguments.ts';
import { QUEUE_OPTIONS, untilStopped, withQueue } from './corpus-options.ts';

const usage = 'corpus collect --queue URL [-o FILE] [--follow] [options]';

export const COLLECT_OPTIONS = {
  ...QUEUE_OPTIONS,
  output: { type: 'string', short: 'o', value: 'FILE', help: 'the file to write (JSON lines)', otherwise: 'stdout' },
  follow: {
    type: 'boolean',
    help: 'until all is done: write results as they come, and take them out of Redis',
  },
} as const satisfies Options;

/** Lines as they are there now, each with its end. */
async function* present(queue: CorpusQueue, files: number): AsyncGenerator<string> {
  for await (const line of linesInOrder(queue.store, files)) {
    yield `${line}\n`;
  }
}

async function collectNow(queue: CorpusQueue, output: string | undefined): Promise<void> {
  const { files } = await queue.describe();
  if (output === undefined) {
    for await (const line of present(queue, files)) {
      await write(line);
    }
  } else {
    const partial = `${output}.${process.pid}.partial`;
    await pipeline(Readable.from(present(queue, files)), createWriteStream(partial));
    await rename(partial, output);
    note(`wrote ${output}`);
  }
  const { files: done, setAside } = await queue.store.counts();
  note(`${done} of ${files} files, ${setAside} of them set aside with an error`);
}

/** No further ahead than it is read. */
async function write(text: string): Promise<void> {
  const { stdout } = currentTerminal();
  if (!stdout.write(text) && stdout === process.stdout) {
    await once(process.stdout, 'drain');
  }
}

async function follow(queue: CorpusQueue, output: string): Promise<void> {
  const { files, fingerprint } = await queue.describe();
  const results = await ResultsFile.open(output, fingerprint);
  const progress = new Progress('collecting');
  const onProgress = (done: number) => {
    progress.update(done, files, `${done} of ${files} files`);
  };
  onProgress(results.count);
  try {
    await untilStopped((signal) => collectAll(queue.store, results, files, onProgress, signal));
  } finally {
    progress.end();
  }
  note(`wrote ${output}; clear the corpus when nobody asks for it any more`);
}

export const collectCorpus: Command = {
  usage,
  summary: 'write the results of a corpus: a line of JSON for each file, in the order of the list',
  options: COLLECT_OPTIONS,
  example: 'corpus collect --queue redis://queue.example:6379 -o results.jsonl --follow',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, COLLECT_OPTIONS);
    if (positionals.length > 0 || (values.follow && values.output === undefined)) {
      throw usageError(`${positionals.length} paths${values.follow ? ', --follow without -o' : ''}`, { usage });
    }
    const { output } = values;
    await withQueue({ usage }, values, (queue) =>
      values.follow && output !== undefined ? follow(queue, output) : collectNow(queue, output),
    );
    return undefined;
  },
};
