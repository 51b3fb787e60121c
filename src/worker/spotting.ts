import type { RnnEncoder } from '../encoder/encoder.ts';
import type { Keyword } from '../decoder/keywords.ts';
import { RillError } from '../errors.ts';
import type { OnlineRecognizer, RecognitionResult, StreamOptions } from '../recognizer/recognizer.ts';
import type { KeywordSpotter } from '../recognizer/spotter.ts';
import type { OnlineStream } from '../recognizer/stream.ts';

/** What a worker's streams run on. */
export type HostedEngine = Pick<
  OnlineRecognizer,
  | 'chunkFrames'
  | 'createStream'
  | 'decode'
  | 'dispose'
  | 'encoder'
  | 'getResult'
  | 'isEndpoint'
  | 'isReady'
  | 'parseKeywords'
  | 'setHotwords'
  | 'textOf'
> & {
  reset: (stream: OnlineStream) => RecognitionResult;
  decodingMethod?: OnlineRecognizer['decodingMethod'];
};

/**
 * A keyword spotter in the place of a recognizer: results have keywords and no text, and each chunk that brings some ends
 * a segment, so that a stream that listens for days posts no more than what is new.
 */
export class SpottingEngine implements HostedEngine {
  readonly #spotter: KeywordSpotter;

  constructor(spotter: KeywordSpotter) {
    this.#spotter = spotter;
  }

  get encoder(): RnnEncoder {
    return this.#spotter.encoder;
  }

  get chunkFrames(): number {
    return this.#spotter.chunkFrames;
  }

  set chunkFrames(frames: number) {
    this.#spotter.chunkFrames = frames;
  }

  /** @throws RillError as {@link KeywordSpotter.createStream}; `bad-argument` for hotwords. */
  createStream({ hotwords, keywords }: StreamOptions): OnlineStream {
    if (hotwords !== undefined) {
      throw noHotwords();
    }
    return this.#spotter.createStream({ keywords });
  }

  isReady(stream: OnlineStream): boolean {
    return this.#spotter.isReady(stream);
  }

  decode(streams: OnlineStream | readonly OnlineStream[]): Promise<void> {
    return this.#spotter.decode(streams);
  }

  getResult(stream: OnlineStream): RecognitionResult {
    return this.#result(stream, stream.isInputFinished && !stream.isUnderWay && !this.isReady(stream));
  }

  isEndpoint(stream: OnlineStream): boolean {
    return stream.keywordHits.length > 0;
  }

  reset(stream: OnlineStream): RecognitionResult {
    const result = this.#result(stream, true);
    stream.clearHits();
    return result;
  }

  parseKeywords(text: string): Keyword[] {
    return this.#spotter.parseKeywords(text);
  }

  setHotwords(): void {
    throw noHotwords();
  }

  textOf(): string {
    return '';
  }

  dispose(): void {
    this.#spotter.dispose();
  }

  #result(stream: OnlineStream, isFinal: boolean): RecognitionResult {
    return {
      text: '',
      tokens: [],
      timestamps: [],
      tokenLogProbs: [],
      logProb: 0,
      words: [],
      keywords: this.#spotter.getResult(stream),
      segment: stream.segment.index,
      startTime: stream.segment.startFrame * stream.secondsPerFrame,
      isFinal,
    };
  }
}

function noHotwords(): RillError {
  return new RillError('bad-argument', {
    got: 'hotwords for a keyword spotter',
    expected: 'keywords',
    remedy: 'Use setKeywords; or load the model as a recognizer (load in place of loadSpotter), which has hotwords.',
  });
}
