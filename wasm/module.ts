// The module: what src/wasm/kernels.ts calls. Memory is imported and holds nothing of the module's own, but for the
// first bytes, which `touch` writes to.

export { add } from './add';
export { basicNorm } from './basic-norm';
export { basicNormGradient } from './basic-norm-gradient';
export { columnSums } from './column-sums';
export { conv } from './conv';
export { ctcPick } from './ctc-pick';
export { doubleSwish } from './double-swish';
export { doubleSwishGradient } from './double-swish-gradient';
export { linear } from './linear';
export { linearInt8 } from './linear-int8';
export { logSoftmax } from './log-softmax';
export { lstmCell } from './lstm-cell';
export { lstmCellGradient } from './lstm-cell-gradient';
export { panels, transpose } from './panels';
export { peak } from './peak';
export { quantizeRows } from './quantize-rows';
