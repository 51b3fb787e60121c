import { RillError } from '../errors.ts';
import type { Listener } from '../recognizer/listener.ts';
import type { OnlineRecognizer, StreamOptions } from '../recognizer/recognizer.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { KeywordSpotter } from '../recognizer/spotter.ts';
import type { OnlineStream } from '../recognizer/stream.ts';

/** What a worker's streams run on: what differs between a recognizer and a spotter, and what both are. */
export interface Hosted extends Pick<
  Listener,
  'chunkFrames' | 'decode' | 'dispose' | 'encoder' | 'isReady' | 'parseKeywords'
> {
  createStream(options: StreamOptions): OnlineStream;
  getResult(stream: OnlineStream): RecognitionResult;
  isEndpoint(stream: OnlineStream): boolean;
  reset(stream: OnlineStream): RecognitionResult;
  setHotwords(stream: OnlineStream, hotwords: string): void;
  /** The text of token ids. */
  textOf(tokens: readonly number[]): string;
  readonly decodingMethod?: OnlineRecognizer['decodingMethod'];
}

/**
 * A keyword spotter in the place of a recognizer: results have keywords and no text, and each chunk that brings some ends
 * a segment, so that a stream that listens for days posts no more than what is new.
 */
export function hostedSpotter(spotter: KeywordSpotter): Hosted {
  const resultOf = (stream: OnlineStream, isFinal: boolean): RecognitionResult => ({
    text: '',
    tokens: [],
    timestamps: [],
    tokenLogProbs: [],
    logProb: 0,
    words: [],
    keywords: spotter.getResult(stream),
    segment: stream.segment.index,
    startTime: stream.segment.startFrame * stream.secondsPerFrame,
    isFinal,
  });
  return {
    encoder: spotter.encoder,
    get chunkFrames() {
      return spotter.chunkFrames;
    },
    set chunkFrames(frames) {
      spotter.chunkFrames = frames;
    },
    createStream({ hotwords, keywords }) {
      if (hotwords !== undefined) {
        throw noHotwords();
      }
      return spotter.createStream({ keywords });
    },
    isReady: (stream) => spotter.isReady(stream),
    decode: (streams) => spotter.decode(streams),
    getResult: (stream) => resultOf(stream, stream.isInputFinished && !stream.isUnderWay && !spotter.isReady(stream)),
    isEndpoint: (stream) => stream.keywordHits.length > 0,
    reset(stream) {
      const result = resultOf(stream, true);
      stream.clearHits();
      return result;
    },
    parseKeywords: (text) => spotter.parseKeywords(text),
    setHotwords() {
      throw noHotwords();
    },
    textOf: () => '',
    dispose: () => {
      spotter.dispose();
    },
  };
}

function noHotwords(): RillError {
  return new RillError('bad-argument', {
    got: 'hotwords for a keyword spotter',
    expected: 'keywords',
    remedy: 'Use setKeywords; or load the model as a recognizer (load in place of loadSpotter), which has hotwords.',
  });
}
