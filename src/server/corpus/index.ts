/** A corpus of recordings as jobs: in a queue, for any number of machines, or in one process. */
export { collectAll, linesInOrder } from './collect.ts';
export type { CorpusFile } from './corpus-file.ts';
export type { CorpusDescription } from './description.ts';
export { Hearing, type Heard, type HearingParts, type HearingReports, type OpenAudio } from './hearing.ts';
export { transcribeHere, type HereOptions } from './here.ts';
export { CorpusQueue, type CorpusJobs, type CorpusStatus } from './queue.ts';
export { ResultsFile } from './results-file.ts';
export type { JobSize } from './split.ts';
export type { CorpusCounts, CorpusStore, KeptLine } from './store.ts';
export { CorpusWorker, type CorpusWorkerOptions } from './worker.ts';
