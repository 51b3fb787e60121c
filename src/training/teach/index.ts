/** Teaching a model a phrase from a few recordings. */
export { checkTake, TAKE_PROBLEMS, type Take, type TakeAdvice, type TakeProblem } from './take.ts';
export type { Rehearsal, TeachOptions, TeachProgress } from './options.ts';
export { teachPhrase } from './teach.ts';
export { unteachPhrase } from './unteach.ts';
