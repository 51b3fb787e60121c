import { borrowTokens } from './bundled.ts';
import { sortFiles, type Drop } from './files.ts';
import type { DemoModel, ModelChoice } from './model.ts';
import type { RecordingQueue } from './queue.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';

/** Does with files what they are for: a model folder is loaded, a checkpoint converted and loaded, recordings are heard in turn. */
export async function takeFiles(
  files: readonly File[],
  model: DemoModel,
  status: Status,
  queue: RecordingQueue,
): Promise<void> {
  try {
    const drop = await sortFiles(files);
    const [checkpoint] = drop.checkpoints;
    if (drop.folder) {
      await model.load({ source: drop.folder, name: 'model.safetensors' });
    } else if (checkpoint) {
      await model.load(await convert(checkpoint.name, drop, model, status));
    } else if (drop.audio.length > 0) {
      await queue.hear(drop.audio.map((file) => ({ name: file.name, load: () => file.arrayBuffer() })));
    } else if (files[0]) {
      status.warn(say('notAudio', { name: files[0].name }));
    }
  } catch (error) {
    status.tell(() => '');
    status.hideProgress();
    model.fail(error);
  }
}

/** Converts a checkpoint; without tokens of its own it is given the bundled model's, where it has as many. */
async function convert(name: string, drop: Drop, model: DemoModel, status: Status): Promise<ModelChoice> {
  status.warn('');
  const { checkpoints, config, tokens } = drop;
  const source = await model.client.convert(checkpoints, { config, tokens }, (event) => {
    if (event.status === 'progress_total') {
      status.showProgress(event.progress / 100);
      status.tell(() => say('converting', { name }));
    }
  });
  return { name, source: source['tokens.txt'] ? source : { ...source, ...(await borrowTokens(source)) } };
}
