import { writeKernels } from '../../tools/generate-kernels.ts';

export default writeKernels;
