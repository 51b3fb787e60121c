import { RillError } from '../../errors.ts';

/** What was made on a device, and what went wrong with it: devices tell that later than it happens. */
export interface Contained<Made> {
  made: Made;
  /** Resolves with nothing when all went well, and on a device that was lost. */
  error: Promise<GPUError | undefined>;
}

/** Makes or submits something at once. Its errors come to the caller, not to everybody on the device. */
export function contained<Made>(device: GPUDevice, make: () => Made): Contained<Made> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let made: Made;
  let errors: Promise<(GPUError | null)[]>;
  try {
    made = make();
  } finally {
    // A device that was lost has no errors to tell, and no use for an answer.
    errors = Promise.all([device.popErrorScope(), device.popErrorScope()]).catch(() => []);
  }
  return { made, error: errors.then((each) => each.find((error) => error !== null)) };
}

/** An error that the device has told of. */
export function gpuFailure({ message }: GPUError): RillError {
  return new RillError('gpu', {
    got: `an error from the GPU: ${message}`,
    expected: 'none',
    remedy: 'If it says out of memory, use fewer streams or frames per step; otherwise report it.',
  });
}
