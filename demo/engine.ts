/** What the page says of the engine that runs: all of it that is not the same for every engine comes from here. */
import { RillError, type DeviceInfo, type RecognizerInfo } from 'rill-asr';
import { say } from './strings.ts';

/** The engines, as they stand beside one another. */
export const ENGINE_KINDS = ['webgpu', 'cpu'] as const satisfies readonly DeviceInfo['kind'][];

export const kindName = (kind: DeviceInfo['kind']) => (kind === 'webgpu' ? 'GPU' : 'CPU');

export interface EngineWords {
  /** What it runs on, and why. */
  runsOn: string;
  /** A device was lost, and this took its place. */
  recovered: string;
}

export function engineWords({ device }: RecognizerInfo): EngineWords {
  const { kind, name, reason } = device;
  return {
    runsOn: say('runsOn', { name, reason }),
    recovered: kind === 'webgpu' ? say('recovered', { name }) : say('recoveredOnCpu'),
  };
}

/** What is missing for an engine, in a few words; undefined where something else went wrong. */
export function whatIsMissing(error: unknown): string | undefined {
  switch (error instanceof RillError ? error.code : undefined) {
    case 'no-webgpu':
      return say('noWebGpu');
    case 'no-adapter':
      return say('noAdapter');
    case 'no-wasm':
      return say('noWasm');
    default:
      return undefined;
  }
}

/** Whether it is the engine that failed, in whose place another may do. */
export function isOfEngine(error: unknown): boolean {
  const codes = ['no-webgpu', 'no-adapter', 'no-wasm', 'no-memory', 'shader', 'gpu', 'device-lost'];
  return error instanceof RillError && codes.includes(error.code);
}
