import { expect, it } from 'vitest';
import { measuredKernels } from '../../src/webgpu/tuning/measured.ts';

const adapter = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false };

it('an adapter that was measured gets its kernels by any of its words, another one none', () => {
  expect(measuredKernels({ ...adapter, architecture: 'swiftshader' }, 'f32')?.matrices).toBe('quads');
  expect(measuredKernels({ ...adapter, description: 'SwiftShader driver 5.0.0' }, 'f16')?.matrices).toBe('quads');
  // The fastest depends on the model's size.
  expect(measuredKernels({ ...adapter, architecture: 'swiftshader' }, 'int8')).toBeUndefined();
  expect(measuredKernels({ ...adapter, description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }, 'f32')?.matrices).toBe(
    'texels',
  );
  expect(measuredKernels({ ...adapter, vendor: 'nvidia', description: 'NVIDIA H100' }, 'f32')).toBeUndefined();
});
