import type { EncoderSizes } from '../model/sizes.ts';
import type { RowsAt } from './heads.ts';
import type { Address } from './kernels.ts';
import type { Heap } from './memory.ts';
import type { Rows } from './step.ts';
import { padded } from './weights.ts';
import type { Workspace } from './workspace.ts';

/** What one lane of a step brings, and its states, which a step reads and writes. */
export interface Lane {
  /** (4 frames + 5, num_features), in two parts: what is kept of the chunk before, and the chunk. */
  features: readonly Float32Array[];
  /** (layers, d_model) */
  h: Float32Array<ArrayBuffer>;
  /** (layers, hidden) */
  c: Float32Array<ArrayBuffer>;
}

/** Copies what lanes bring into a workspace. @param lanes the longest first */
export function putLanes(heap: Heap, sizes: EncoderSizes, space: Workspace, lanes: readonly Lane[]): void {
  let at = space.features / 4;
  lanes.forEach((lane, i) => {
    for (const part of lane.features) {
      heap.floats.set(part, at);
      at += part.length;
    }
    copyStates(heap, sizes, space, lane, i, 'in');
  });
}

/**
 * Copies a lane's states between its own arrays and the workspace, whose rows are padded and go layer by layer.
 *
 * @param lane its place in the step
 */
export function copyStates(
  heap: Heap,
  { numEncoderLayers: layers, dModel, rnnHiddenSize }: EncoderSizes,
  { room, h, c }: Workspace,
  own: Pick<Lane, 'h' | 'c'>,
  lane: number,
  direction: 'in' | 'out',
): void {
  const copy = (states: Float32Array, width: number, first: Address) => {
    for (let l = 0; l < layers; l++) {
      const at = first / 4 + (l * room.lanes + lane) * padded(width);
      if (direction === 'in') {
        heap.floats.set(states.subarray(l * width, (l + 1) * width), at);
      } else {
        states.set(heap.floats.subarray(at, at + width), l * width);
      }
    }
  };
  copy(own.h, dModel, h);
  copy(own.c, rnnHiddenSize, c);
}

/** A lane's rows of an array: (frames, width), without padding. @param lane its place in the step */
export function gather(heap: Heap, rows: Rows, lane: number, { at, width, stride }: RowsAt): Float32Array<ArrayBuffer> {
  const frames = rows.frames[lane];
  const output = new Float32Array(frames * width);
  for (let t = 0; t < frames; t++) {
    const start = at / 4 + (rows.starts[t] + lane) * stride;
    output.set(heap.floats.subarray(start, start + width), t * width);
  }
  return output;
}
