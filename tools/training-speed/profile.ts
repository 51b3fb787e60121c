import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { DispatchTimer, type KernelTime } from '../../src/webgpu/device/timer.ts';

/** Parts of a training step. */
export const PHASES = ['forward', 'backward', 'optimizer'] as const;
export type Phase = (typeof PHASES)[number];

/** A kernel in a part of the step. */
export type PhaseTime = KernelTime & { phase: Phase };

/** Kernels that begin the next part of a step. */
const FIRST_OF: readonly (readonly [Phase, RegExp])[] = [
  ['backward', /^(ctc|spike|transducer)_gradient$/],
  ['optimizer', /^squares$/],
];
const MOST_DISPATCHES = 20_000;

/**
 * Times of a step's kernels, by timestamp queries: each dispatch runs in a pass of its own, so that all together take longer
 * than the step.
 *
 * @param submit submits a step, once
 * @throws RillError `bad-argument` on a device without timestamp queries.
 */
export async function profileStep(context: GpuContext, submit: () => void): Promise<PhaseTime[]> {
  const timer = new DispatchTimer(context, MOST_DISPATCHES);
  const { device } = context;
  const create = device.createCommandEncoder.bind(device);
  let phase: Phase = 'forward';
  device.createCommandEncoder = () => {
    const encoder = create();
    const next = (kernel: string) => {
      phase = FIRST_OF.find(([, first]) => first.test(kernel))?.[0] ?? phase;
      return timer.next(`${phase} ${kernel}`);
    };
    const finish = encoder.finish.bind(encoder);
    const begin = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = () => passOfDispatches(begin, next);
    encoder.finish = () => {
      timer.resolve(encoder);
      return finish();
    };
    return encoder;
  };
  try {
    submit();
  } finally {
    device.createCommandEncoder = create;
  }
  try {
    return (await timer.read()).map((time) => {
      const [own, kernel] = time.kernel.split(' ');
      return { ...time, kernel, phase: PHASES.find((each) => each === own) ?? 'forward' };
    });
  } finally {
    timer.dispose();
  }
}

/** As much of a pass as kernels use: each dispatch begins one of its own. */
function passOfDispatches(
  begin: (descriptor: GPUComputePassDescriptor) => GPUComputePassEncoder,
  next: (kernel: string) => GPUComputePassTimestampWrites,
): GPUComputePassEncoder {
  let pipeline: GPUComputePipeline | undefined;
  const groups = new Map<number, readonly [GPUBindGroup, number[]]>();
  const pass = {
    setPipeline: (own: GPUComputePipeline) => {
      pipeline = own;
    },
    setBindGroup: (index: number, group: GPUBindGroup, offsets: number[] = []) => {
      groups.set(index, [group, offsets]);
    },
    dispatchWorkgroups: (x: number, y?: number, z?: number) => {
      if (pipeline) {
        const own = begin({ timestampWrites: next(pipeline.label) });
        own.setPipeline(pipeline);
        groups.forEach(([group, offsets], index) => {
          own.setBindGroup(index, group, offsets);
        });
        own.dispatchWorkgroups(x, y, z);
        own.end();
      }
    },
    end: () => {
      groups.clear();
    },
  };
  return pass as unknown as GPUComputePassEncoder;
}
