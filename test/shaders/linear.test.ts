import * as kernels from '../../src/gpu/kernels.generated.ts';
import { WEIGHT_DTYPES } from '../../src/model/dtypes.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, words } from './harness.ts';
import * as twins from './twins.ts';

describeKernel(
  kernels.linear,
  [
    { rows: 1, inputs: 1, outputs: 1 },
    { rows: 1, inputs: 99, outputs: 50 },
    { rows: 3, inputs: 70, outputs: 17, doubleSwish: true },
    { rows: 5, inputs: 130, outputs: 133, accumulate: true },
    { rows: 8, inputs: 4, outputs: 8, doubleSwish: true, accumulate: true },
  ]
    .flatMap((each, seed) => WEIGHT_DTYPES.map((dtype) => ({ ...each, seed, dtype })))
    .map(({ rows, inputs, outputs, seed, dtype, ...then }) => {
      const [ins, outs] = [padded(inputs), padded(outputs)];
      const matrix = paddedRows(ins, outputs, outs, seed + 31, 1 / Math.sqrt(inputs));
      const { weight, scale, bits, values } = packWeights(
        matrix.map((value, i) => (i < inputs * outs ? value : 0)),
        ins,
        outs,
        dtype,
      );
      const buffers = {
        weight,
        scale,
        bias: paddedRows(1, outputs, outs, seed + 32),
        x: paddedRows(rows, inputs, ins, seed + 33),
        y: then.accumulate ? paddedRows(rows + 1, outputs, outs, seed + 34) : poison((rows + 1) * outs),
        step: words(1, rows),
      };
      return {
        name: `${dtype}, ${rows} rows, ${inputs} to ${outputs}, ${JSON.stringify(then)}`,
        overrides: {
          weight_bits: bits,
          in_vec4s: ins / 4,
          out_vec4s: outs / 4,
          double_swish: Number(then.doubleSwish ?? false),
          accumulate: Number(then.accumulate ?? false),
        },
        buffers,
        workgroups: [ceilDiv(outs / 4, 32), ceilDiv(rows, 4), 1] as const,
        expected: { y: twins.linear({ ...buffers, weight: values }, rows, ins, outs, then) },
      };
    }),
);
