/** What was heard: the text as it settles, keyword hits, and which of them were false alarms. */
import type { RecognitionResult, TimedKeyword } from 'rill-asr';
import { create, element, setText } from './elements.ts';
import { say } from './strings.ts';

/** Segments that stay on the page. */
const KEPT_SEGMENTS = 6;

const text = element('text', HTMLElement);
const hits = element('hits', HTMLUListElement);
const noHits = element('no-hits', HTMLElement);

export class Heard {
  /** Every segment that has ended and was not silent, by its number. */
  readonly #ended = new Map<number, RecognitionResult>();
  #current: RecognitionResult | undefined;
  #segment = -1;
  #shownHits = 0;
  #falseAlarms = 0;
  /** What is said in a recording whose words are known. */
  #label: string | undefined;
  /** What stands there while nothing is heard. */
  #hint: 'known' | 'nothingYet' = 'known';

  clear(label?: string): void {
    this.#ended.clear();
    this.#current = undefined;
    this.#segment = -1;
    this.#shownHits = 0;
    this.#label = label;
    hits.replaceChildren();
    noHits.hidden = false;
    this.#count(-this.#falseAlarms);
    this.#show();
  }

  /** @param isBundled whether it is the model whose phrases the page can name */
  setModel(isBundled: boolean): void {
    this.#hint = isBundled ? 'known' : 'nothingYet';
    this.#show();
  }

  add(result: RecognitionResult): void {
    if (result.segment !== this.#segment) {
      this.#segment = result.segment;
      this.#shownHits = 0;
    }
    for (const hit of result.keywords.slice(this.#shownHits)) {
      this.#addHit(hit);
    }
    this.#shownHits = result.keywords.length;
    this.#current = result.isFinal ? undefined : result;
    // Segments of silence push nothing out.
    if (result.isFinal && result.text !== '') {
      this.#ended.set(result.segment, result);
    }
    this.#show();
  }

  /** All that was heard, segment by segment. */
  get segments(): RecognitionResult[] {
    return [...this.#ended.values(), ...(this.#current?.text ? [this.#current] : [])];
  }

  /** All that was heard, as one text. */
  get text(): string {
    return this.segments.map((segment) => segment.text).join(' ');
  }

  /** Words and keywords with their times, for the picture. */
  get marks(): { text: string; start: number; end: number; isKeyword: boolean }[] {
    return this.#shown.flatMap(({ words, keywords }) =>
      words.map(({ word, start, end }) => ({ text: word, start, end, isKeyword: isInside(keywords, start, end) })),
    );
  }

  get #shown(): RecognitionResult[] {
    return this.segments.slice(-KEPT_SEGMENTS);
  }

  #show(): void {
    const parts = this.#shown.flatMap((result) => {
      const words = result.words.map(({ word, start, end }) =>
        create(isInside(result.keywords, start, end) ? 'mark' : 'span', 'word', word),
      );
      // What is heard beyond the last complete word may still change.
      const settled = result.words.map(({ word }) => word).join(' ');
      const partial = result.text.startsWith(settled) ? result.text.slice(settled.length).trim() : '';
      return partial ? [...words, create('span', 'partial', partial)] : words;
    });
    text.replaceChildren(...(parts.length > 0 ? parts.flatMap((part) => [part, ' ']) : [this.#hintElement()]));
  }

  /** It follows the language by itself. */
  #hintElement(): HTMLElement {
    const hint = create('span', 'dim', say(this.#hint));
    hint.dataset.say = this.#hint;
    return hint;
  }

  #addHit({ keyword, start, score }: TimedKeyword): void {
    const item = create('li', '', `${keyword} ${start.toFixed(1)} s, ${score.toFixed(2)}`);
    const mark = create('button', '', '✕');
    mark.type = 'button';
    mark.title = say('markFalse');
    mark.setAttribute('aria-label', `${keyword}: ${say('markFalse')}`);
    mark.setAttribute('aria-pressed', 'false');
    const toggle = () => {
      const isFalse = item.classList.toggle('false');
      mark.setAttribute('aria-pressed', String(isFalse));
      this.#count(isFalse ? 1 : -1);
    };
    mark.addEventListener('click', toggle);
    if (this.#label !== undefined && !this.#label.includes(keyword)) {
      toggle();
    }
    item.append(mark);
    hits.append(item);
    noHits.hidden = true;
  }

  #count(change: number): void {
    this.#falseAlarms += change;
    setText('false-alarms', String(this.#falseAlarms));
  }
}

const isInside = (keywords: readonly TimedKeyword[], start: number, end: number) =>
  keywords.some((keyword) => start >= keyword.start && end <= keyword.end);
