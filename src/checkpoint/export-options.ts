/** What matrices of an export can be kept as. */
export const EXPORT_DTYPES = ['f32', 'int8'] as const satisfies ExportOptions['dtype'][];

/** How a model is to be written for sherpa-onnx. */
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
  dtype?: 'f32' | 'int8';
}

/** The files of a streaming transducer as sherpa-onnx reads them. */
export interface SherpaOnnxFiles {
  /** Features and states in, embeddings and states out. */
  'encoder.onnx': Uint8Array<ArrayBuffer>;
  /** The last tokens in, the prediction network’s output out. */
  'decoder.onnx': Uint8Array<ArrayBuffer>;
  /** Both in, logits of the tokens out. */
  'joiner.onnx': Uint8Array<ArrayBuffer>;
  /** The text of the token table. */
  'tokens.txt': string;
}
