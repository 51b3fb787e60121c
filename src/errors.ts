/** What went wrong, for code that has to tell one case from another. */
export type RillErrorCode =
  | 'bad-argument' // a call was made with values that do not fit
  | 'bad-audio' // an audio file or waveform that cannot be read
  | 'bad-checkpoint' // a checkpoint that is damaged, foreign, hostile or of another network
  | 'bad-model' // a model folder that is damaged or does not fit together
  | 'closed' // something was used after it was closed
  | 'no-webgpu' // this browser or runtime has no WebGPU
  | 'no-adapter' // WebGPU is there, but no adapter
  | 'shader' // a shader or pipeline did not compile
  | 'device-lost' // the GPU device went away
  | 'gpu'; // the GPU reported another error

/** The three things every error of Rill states. */
export interface Complaint {
  /** What was found, the name of the thing first: `encoder.conv.0.weight of shape (8, 1, 3, 2)`. */
  got: string;
  expected: string;
  /** What the reader can do about it, a whole sentence. */
  remedy: string;
}

/** The one error type that leaves this library. */
export class RillError extends Error {
  override readonly name = 'RillError';
  readonly code: RillErrorCode;
  readonly got: string;
  readonly expected: string;
  readonly remedy: string;

  constructor(code: RillErrorCode, { got, expected, remedy }: Complaint, options?: ErrorOptions) {
    super(`got ${got}; expected ${expected}. ${remedy}`, options);
    this.code = code;
    this.got = got;
    this.expected = expected;
    this.remedy = remedy;
  }
}
