/** What matrices of an export can be kept as. */
export const EXPORT_DTYPES = ['f32', 'int8'] as const;
export type ExportDtype = (typeof EXPORT_DTYPES)[number];

export interface ExportOptions {
  /**
   * Encoder frames (40 ms) that the encoder takes at a time, 1 to 128; 1 by default, as icefall exports it. More are less
   * work for each second of sound, and more latency.
   */
  frames?: number;
  /**
   * What the encoder's matrices are kept as: `f32` by default. `int8` is dynamic quantization as onnxruntime's
   * quantize_dynamic writes it, with a scale for each output. All else stays f32.
   */
  dtype?: ExportDtype;
}

/** The files of a streaming transducer as sherpa-onnx reads them. */
export interface SherpaOnnxFiles {
  'encoder.onnx': Uint8Array<ArrayBuffer>;
  'decoder.onnx': Uint8Array<ArrayBuffer>;
  'joiner.onnx': Uint8Array<ArrayBuffer>;
  'tokens.txt': string;
}
