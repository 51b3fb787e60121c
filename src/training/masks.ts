import type { BufferScope } from '../webgpu/device/context.ts';
import { vec4s } from '../webgpu/weights.ts';
import { SITES, dropoutThreshold, layerSites, type DrawStep, type Draws, type Mask } from './draws.ts';
import * as kernels from './kernels.generated.ts';
import type { NetworkParts } from './layer.ts';
import { byThread, createUniform, type BatchSize, type Operation } from './operations.ts';
import { seedKey } from './philox.ts';

/** A dropout mask on the GPU: how wide it is, and what it is drawn for. */
interface MaskBuffer {
  buffer: GPUBuffer;
  width: number;
  site: number;
  /** Of draws that are given. */
  of: (draws: Draws) => Mask;
}

/** The masks of the layers that run, one after the other, then that of the head. */
function masksOf({ sizes, activations: { layers, headMask } }: NetworkParts, from: number): MaskBuffer[] {
  const { dModel, dimFeedforward } = sizes;
  const ofLayers = layers.slice(from).flatMap(({ masks }, i) => {
    const layer = from + i;
    const sites = layerSites(layer);
    return (['lstm', 'ffInner', 'ff'] as const).map((name) => ({
      buffer: masks[name],
      width: name === 'ffInner' ? dimFeedforward : dModel,
      site: sites[name],
      of: (draws: Draws) => draws.layers[layer][name],
    }));
  });
  return [...ofLayers, { buffer: headMask, width: dModel, site: SITES.headDropout, of: ({ head }) => head }];
}

/**
 * The dropout masks of a network. They are drawn on the GPU before the way forward, a bit for each element, and kept for the
 * way back: a thirty-second of an activation, in place of a second draw.
 */
export class Masks {
  readonly #dropout: number;
  readonly #queue: GPUQueue;
  readonly #masks: readonly MaskBuffer[];
  readonly #draw: GPUBuffer;
  readonly #operations: readonly Operation[];

  private constructor(
    dropout: number,
    queue: GPUQueue,
    masks: readonly MaskBuffer[],
    draw: GPUBuffer,
    operations: readonly Operation[],
  ) {
    this.#dropout = dropout;
    this.#queue = queue;
    this.#masks = masks;
    this.#draw = draw;
    this.#operations = operations;
  }

  /** Dispatches that each take an ordinal of their own. */
  static count = (layers: number) => 3 * layers + 1;

  /** @param from the first layer that runs @throws RillError `shader`. */
  static async create(parts: NetworkParts, scope: BufferScope, from: number): Promise<Masks> {
    const { maker, step, at } = parts;
    const { queue } = scope.context.device;
    const masks = masksOf(parts, from);
    const draw = createUniform(scope, 'activations', 'draw', 16);
    const sites = scope.createStorage('activations', 'sites', 4 * masks.length);
    queue.writeBuffer(
      sites,
      0,
      Uint32Array.from(masks, ({ site }) => site),
    );
    const operations = masks.map(({ buffer: drawn, width }) =>
      maker.make(
        kernels.drawMask,
        { row_vec4s: vec4s(width) },
        { draw, sites, drawn, step, at },
        ({ utterances, frames }) => byThread(Math.ceil((utterances * frames * vec4s(width)) / 8)),
      ),
    );
    return new Masks(parts.dropout, queue, masks, draw, await Promise.all(operations));
  }

  /** Uploads masks that are given. */
  give(draws: Draws, size: BatchSize): void {
    for (const { buffer, width, of } of this.#masks) {
      this.#queue.writeBuffer(buffer, 0, maskBits(of(draws), size, width));
    }
  }

  /** Draws masks, in a pass before they are read. @throws RangeError for a seed that is none. */
  draw({ seed, microStep }: DrawStep, pass: GPUComputePassEncoder, size: BatchSize): void {
    const words = [...seedKey(seed), microStep, dropoutThreshold(this.#dropout)];
    this.#queue.writeBuffer(this.#draw, 0, Uint32Array.from(words));
    this.#operations.forEach((each, ordinal) => {
      each.run(pass, size, ordinal);
    });
  }
}

/**
 * A dropout mask as dropout_mask.wgsl reads it: a bit for each element, eight vec4s to a word, rows frame by frame.
 *
 * @param mask (utterances, frames, width), utterance by utterance
 */
export function maskBits(mask: Mask, { utterances, frames }: BatchSize, width: number): Uint32Array<ArrayBuffer> {
  const rowVec4s = vec4s(width);
  const bits = new Uint32Array(Math.ceil((utterances * frames * rowVec4s) / 8));
  for (let n = 0; n < utterances; n++) {
    for (let t = 0; t < frames; t++) {
      const row = (t * utterances + n) * rowVec4s;
      for (let k = 0; k < width; k++) {
        if (mask[(n * frames + t) * width + k] > 0) {
          const place = row + (k >> 2);
          bits[place >> 3] |= 1 << (4 * (place & 7) + (k & 3));
        }
      }
    }
  }
  return bits;
}
