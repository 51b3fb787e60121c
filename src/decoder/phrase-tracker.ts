import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { optional, real, record, whole } from '../snapshot/fields.ts';
import { DEFAULT_PHRASE_THRESHOLD, PHRASE_GAP_FRAMES, type Keyword, type KeywordHit } from './keywords.ts';

const STATE = record({ from: whole(), peak: optional(record({ first: whole(), frame: whole(), score: real })) });

/**
 * Follows a phrase that is one token of the CTC head: it is heard where the token's probability has a peak of at least the
 * threshold, whatever the other tokens are, and peaks are {@link PHRASE_GAP_FRAMES} apart. It fires with the first frame below
 * the threshold, or where it stays above for as long as the gap.
 */
export class PhraseTracker {
  readonly #phrase: string;
  readonly #token: number;
  readonly #threshold: number;
  /** Frame from which the next peak may come. */
  #from = 0;
  /** The peak so far of a stretch above the threshold, and the stretch's first frame. */
  #peak: { first: number; frame: number; score: number } | undefined;

  constructor({ phrase, tokens: [token], threshold = DEFAULT_PHRASE_THRESHOLD }: Keyword) {
    this.#phrase = phrase;
    this.#token = token;
    this.#threshold = threshold;
  }

  /**
   * Takes the next frame.
   *
   * @param logProbs (vocab_size)
   * @returns the phrase, where its peak is over with this frame
   */
  accept(frame: number, logProbs: Float32Array): KeywordHit | undefined {
    const score = Math.exp(logProbs[this.#token]);
    const peak = this.#peak;
    if (peak && (score < this.#threshold || frame - peak.first >= PHRASE_GAP_FRAMES)) {
      return this.finish();
    }
    if (score >= this.#threshold && frame >= this.#from && !(peak && peak.score >= score)) {
      this.#peak = { first: peak?.first ?? frame, frame, score };
    }
    return undefined;
  }

  save(to: SnapshotWriter): void {
    STATE.write(to, { from: this.#from, peak: this.#peak });
  }

  restore(from: SnapshotReader): void {
    const state = STATE.read(from);
    this.#from = state.from;
    this.#peak = state.peak;
  }

  /** Nothing follows. @returns the phrase, where its peak was not over yet */
  finish(): KeywordHit | undefined {
    const peak = this.#peak;
    this.#peak = undefined;
    if (!peak) {
      return undefined;
    }
    this.#from = peak.frame + PHRASE_GAP_FRAMES;
    return { keyword: this.#phrase, startFrame: peak.frame, endFrame: peak.frame, score: peak.score };
  }
}
