import { WEIGHT_BITS, toHalf, type WeightDtype } from '../../src/model/dtypes.ts';
import { decodeFloats } from '../../src/model/tensors.ts';

/** What a texture is made of. */
export interface Texels {
  texels: ArrayBufferView<ArrayBuffer>;
  format: GPUTextureFormat;
  size: readonly [width: number, height: number];
}

/** A packed matrix as the kernels take it, and the numbers that it stands for. */
export interface PackedWeights {
  dtype: WeightDtype;
  bits: number;
  weight: Uint32Array<ArrayBuffer>;
  /** The same for the kernels that read texels: rows of 64 inputs x 32 outputs. */
  texels: Texels;
  scale: Float32Array<ArrayBuffer>;
  /** (inputs, outputs) */
  values: Float32Array<ArrayBuffer>;
}

/** The matrices of several layers one after the other, each padded to 16 vec4s, as the kernels of waves take them. */
export function packLayers(
  matrices: readonly Float32Array<ArrayBuffer>[],
  inputs: number,
  outputs: number,
  dtype: WeightDtype,
): Omit<PackedWeights, 'texels'> {
  const layers = matrices.map((matrix) => packWeights(matrix, inputs, outputs, dtype));
  const stride = 64 * Math.ceil(layers[0].weight.length / 64);
  const weight = new Uint32Array(layers.length * stride);
  const scale = new Float32Array(layers.length * outputs);
  const values = new Float32Array(layers.length * inputs * outputs);
  layers.forEach((layer, l) => {
    weight.set(layer.weight, l * stride);
    scale.set(layer.scale, l * outputs);
    values.set(layer.values, l * inputs * outputs);
  });
  return { dtype, bits: layers[0].bits, weight, scale, values };
}

/**
 * A matrix (inputs, outputs), both multiples of 4 (inputs need not be in f32), in columns of 32 outputs, and there in blocks
 * of 4 inputs x 4 outputs, element by element.
 */
export function packWeights(
  matrix: Float32Array<ArrayBuffer>,
  inputs: number,
  outputs: number,
  dtype: WeightDtype,
): PackedWeights {
  const bits = WEIGHT_BITS[dtype];
  const columns = Math.ceil(outputs / 32);
  const bytes = new Uint8Array((inputs * columns * 32 * bits) / 8);
  const view = new DataView(bytes.buffer);
  const halves = new Uint8Array(toHalf('test', matrix).buffer);
  const values = dtype === 'f16' ? decodeFloats(halves, 'F16') : matrix.slice();
  const scale = new Float32Array(outputs);
  const texelRows = columns * Math.ceil(inputs / 64);
  const texels = {
    f32: new Float32Array(texelRows * 2048),
    f16: new Uint16Array(texelRows * 2048),
    int8: new Int8Array(texelRows * 2048),
  }[dtype];
  const texelAt = (k: number, o: number) =>
    (Math.floor(o / 32) * Math.ceil(inputs / 64) + Math.floor(k / 64)) * 2048 + (k % 64) * 32 + (o % 32);
  const format = ({ f32: 'rgba32float', f16: 'rgba16float', int8: 'rgba8snorm' } as const)[dtype];
  for (let k = 0; k < inputs; k++) {
    for (let o = 0; o < outputs; o++) {
      const column = Math.floor(o / 32) * inputs * 32;
      if (dtype === 'f32') {
        view.setFloat32(4 * (column + k * 32 + (o % 32)), matrix[k * outputs + o], true);
        texels[texelAt(k, o)] = matrix[k * outputs + o];
      } else if (dtype === 'f16') {
        const at = column + ((k >> 1) * 32 + (o & 28)) * 2 + (k & 1) * 4 + (o & 3);
        bytes.set(halves.subarray(2 * (k * outputs + o), 2 * (k * outputs + o) + 2), 2 * at);
        texels[texelAt(k, o)] = halves[2 * (k * outputs + o)] | (halves[2 * (k * outputs + o) + 1] << 8);
      } else {
        const at = column + ((k >> 2) * 32 + (o & 28)) * 4 + (k & 3) * 4 + (o & 3);
        scale[o] = Math.max(...Array.from({ length: inputs }, (_, i) => Math.abs(matrix[i * outputs + o])));
        const whole = scale[o] === 0 ? 0 : Math.round((127 * matrix[k * outputs + o]) / scale[o]);
        view.setInt8(at, whole);
        texels[texelAt(k, o)] = whole;
        values[k * outputs + o] = (whole * scale[o]) / 127;
      }
    }
  }
  const weight = new Uint32Array(bytes.buffer);
  return { dtype, bits, weight, texels: { texels, format, size: [512, texelRows] }, scale, values };
}
