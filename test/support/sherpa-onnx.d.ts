/** As much of sherpa-onnx-node as the tests use: the package brings no types. */
declare module 'sherpa-onnx-node' {
  export interface OnlineModelConfig {
    transducer: { encoder: string; decoder: string; joiner: string };
    tokens: string;
    numThreads: number;
    provider: 'cpu';
  }

  interface Config {
    featConfig: { sampleRate: number; featureDim: number };
    modelConfig: OnlineModelConfig;
    maxActivePaths: number;
  }

  export interface OnlineStream {
    acceptWaveform(waveform: { samples: Float32Array; sampleRate: number }): void;
    inputFinished(): void;
  }

  export class OnlineRecognizer {
    constructor(config: Config & { decodingMethod: 'greedy_search' | 'modified_beam_search'; blankPenalty: number });
    createStream(): OnlineStream;
    isReady(stream: OnlineStream): boolean;
    decode(stream: OnlineStream): void;
    getResult(stream: OnlineStream): { text: string; tokens: string[]; timestamps: number[] };
  }

  export class KeywordSpotter {
    constructor(config: Config & { keywordsFile: string; keywordsScore: number; keywordsThreshold: number });
    createStream(): OnlineStream;
    isReady(stream: OnlineStream): boolean;
    decode(stream: OnlineStream): void;
    reset(stream: OnlineStream): void;
    getResult(stream: OnlineStream): { keyword: string };
  }
}
