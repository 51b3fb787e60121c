/** What goes to the GPU, whoever sends it. */
export interface Counts {
  dispatches: number;
  submits: number;
}

/** Counts dispatches and submits while something runs. */
export async function counted(run: () => Promise<unknown>): Promise<Counts> {
  const counts: Counts = { dispatches: 0, submits: 0 };
  /* eslint-disable @typescript-eslint/unbound-method -- called with their own `this` below */
  const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  const { submit } = GPUQueue.prototype;
  /* eslint-enable @typescript-eslint/unbound-method */
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...sizes) {
    counts.dispatches++;
    return dispatchWorkgroups.apply(this, sizes);
  };
  GPUQueue.prototype.submit = function (buffers) {
    // Empty ones ask for finished work, where a browser tells of it late.
    const commands = [...buffers];
    counts.submits += commands.length > 0 ? 1 : 0;
    submit.call(this, commands);
  };
  try {
    await run();
  } finally {
    GPUComputePassEncoder.prototype.dispatchWorkgroups = dispatchWorkgroups;
    GPUQueue.prototype.submit = submit;
  }
  return counts;
}
