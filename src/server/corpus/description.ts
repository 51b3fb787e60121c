import { RillError, shown } from '../../errors.ts';

/** What all workers of a corpus know of it. */
export interface CorpusDescription {
  /** Files in the list. */
  files: number;
  /** Seconds that they probably last, all together. */
  seconds: number;
  /** Tells this list, model and settings from others. */
  fingerprint: string;
  /** The model folder, from the root where it lies below it. */
  model: string;
  /** Tells the model's bytes from others. */
  modelHash: string;
  /** The folder that relative paths begin at, on the machine that submitted; empty without one. */
  root: string;
  /** How to recognize: JSON that the submitter and the workers understand. */
  settings: string;
  /** Attempts at a file before it is set aside with its error. */
  attempts: number;
  /** Seconds before the second attempt; twice as many before each further one. */
  retrySeconds: number;
  /** Bytes of results that may wait in Redis; workers wait beyond. */
  heldBytes: number;
}

/** Of what is written in Redis; a later one that cannot be read by this code has another. */
const VERSION = 1;

type Fields = Record<string, unknown>;

export const formatDescription = (description: CorpusDescription): string =>
  JSON.stringify({ version: VERSION, ...description });

/** @throws RillError `bad-argument` for what another version, or another program, has written. */
export function parseDescription(text: string): CorpusDescription {
  const fields = fieldsOf(text);
  const number = (name: string) => {
    const value = fields[name];
    if (typeof value !== 'number' || !(value >= 0)) {
      throw foreign(`${name}: ${shown(value)}`);
    }
    return value;
  };
  const string = (name: string) => {
    const value = fields[name];
    if (typeof value !== 'string') {
      throw foreign(`${name}: ${shown(value)}`);
    }
    return value;
  };
  if (number('version') !== VERSION) {
    throw foreign(`version ${number('version')}`);
  }
  return {
    files: number('files'),
    seconds: number('seconds'),
    fingerprint: string('fingerprint'),
    model: string('model'),
    modelHash: string('modelHash'),
    root: string('root'),
    settings: string('settings'),
    attempts: number('attempts'),
    retrySeconds: number('retrySeconds'),
    heldBytes: number('heldBytes'),
  };
}

function fieldsOf(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw foreign(shown(text));
  }
  if (typeof value !== 'object' || value === null) {
    throw foreign(shown(value));
  }
  return { ...value };
}

const foreign = (got: string) =>
  new RillError('bad-argument', {
    got: `a corpus in Redis that says ${got}`,
    expected: `one that this version of Rill has written (format ${VERSION})`,
    remedy: 'Work with the version that submitted it, or clear it and submit again.',
  });
