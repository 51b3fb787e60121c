import { openModel, type ModelFiles } from '../../src/model/model.ts';
import type { Rehearsal, TeachProgress } from '../../src/training/teach/options.ts';
import { teachPhrase } from '../../src/training/teach/teach.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import type { JobContext } from './jobs.ts';

/** What a phrase is taught from. */
export interface TeachInput {
  model: ModelFiles;
  phrase: string;
  recordings: Waveform[];
  speech: Waveform[];
  negatives: Waveform[];
  rehearsal: Rehearsal[];
  seed?: number;
  steps?: number;
}

/** What teaching says on the way. */
export interface TeachEvent {
  type: 'teach';
  progress: TeachProgress;
}

/** Teaches a phrase, on the engine that the job has. */
export function teach({ engine, emit }: JobContext, { model, ...input }: TeachInput): Promise<ModelFiles> {
  return teachPhrase({
    ...input,
    ...{ model: openModel(model), engine },
    onProgress: (progress) => {
      emit({ type: 'teach', progress });
    },
  });
}
