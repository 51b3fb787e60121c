/** The model of the calls, and how it is loaded: the same in the servers and where the calls are heard unbroken. */
import { fileURLToPath } from 'node:url';

export const bundledFolder = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));

/** Endpoints come soon, so that a call of some seconds has several segments. */
export const CALL_OPTIONS = {
  maxStreams: 64,
  chunkFrames: 4,
  endpointRules: { rule2: { mustContainNonSilence: true, minTrailingSilence: 0.4, minUtteranceLength: 0 } },
};
