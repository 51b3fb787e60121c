/** How the command line tells of an error, and which exit status goes with it. */
import { RillError, type RillErrorCode } from '../src/errors.ts';
import { printable } from './terminal.ts';

/** Errors that are the caller's to mend; all others are a failure of Rill or of the GPU. */
const INPUT_ERRORS: readonly RillErrorCode[] = ['bad-argument', 'bad-audio', 'bad-checkpoint', 'bad-model'];

export const BAD_INPUT = 2;
export const FAILURE = 1;

/** 2 for an error that is about the input, so that other inputs are still worth trying; else 1. */
export const exitStatus = (error: unknown): number =>
  error instanceof RillError && INPUT_ERRORS.includes(error.code) ? BAD_INPUT : FAILURE;

/** The error in one line, as people read it. */
export function failureLine(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  const message = error instanceof RillError ? words : `an unexpected failure: ${words}`;
  return `rill: ${printable(message.replaceAll(/\s+/g, ' '))}`;
}
