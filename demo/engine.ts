/** What the page says of the engine that runs: all of it that is not the same for every engine comes from here. */
import type { RecognizerInfo } from 'rill';
import { say } from './strings.ts';

export interface EngineWords {
  /** What it runs on, and the weights that it reads. */
  adapter: string;
  /** All that it holds. */
  memory: string;
  /** A model has come and is being made ready. */
  starting: string;
  lost: string;
  recovered: string;
}

/** @param info undefined before a model is loaded */
export function engineWords(info: RecognizerInfo | undefined): EngineWords {
  const bytes = Object.values(info?.memory ?? {}).reduce((sum, part) => sum + part, 0);
  return {
    adapter: info ? `${info.device.name}, ${info.dtype}` : '–',
    memory: info ? `${(bytes / 1e6).toFixed(1)} MB` : '–',
    starting: say('starting'),
    lost: say('lost'),
    recovered: say('recovered', { adapter: info?.device.name ?? '' }),
  };
}
