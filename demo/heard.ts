/** What was heard: the text as it settles, keyword hits, and which of them were false alarms. */
import type { RecognitionResult, TimedKeyword } from 'rill-asr';
import { create, element, setText } from './elements.ts';
import { say } from './strings.ts';

/** Segments that stay on the page. */
const KEPT_SEGMENTS = 6;

const text = element('text', HTMLElement);
const hits = element('hits', HTMLUListElement);

export class Heard {
  #settled: RecognitionResult[] = [];
  /** The text of every segment that has ended. */
  #texts = new Map<number, string>();
  #current: RecognitionResult | undefined;
  #segment = -1;
  #shownHits = 0;
  #falseAlarms = 0;
  /** What is said in a recording whose words are known. */
  #label: string | undefined;

  clear(label?: string): void {
    this.#settled = [];
    this.#texts.clear();
    this.#current = undefined;
    this.#segment = -1;
    this.#shownHits = 0;
    this.#label = label;
    hits.replaceChildren();
    this.#count(-this.#falseAlarms);
    text.replaceChildren(create('span', 'dim', say('nothingYet')));
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
    if (result.isFinal) {
      // Segments of silence push nothing out.
      if (result.text !== '') {
        const others = this.#settled.filter(({ segment }) => segment !== result.segment);
        this.#settled = [...others, result].slice(-KEPT_SEGMENTS);
        this.#texts.set(result.segment, result.text);
      }
      this.#current = undefined;
    } else {
      this.#current = result;
    }
    this.#show();
  }

  /** All that was heard, segment by segment. */
  get text(): string {
    return [...this.#texts.values(), this.#current?.text].filter(Boolean).join(' ');
  }

  /** Words and keywords with their times, for the picture. */
  get marks(): { text: string; start: number; end: number; isKeyword: boolean }[] {
    return [...this.#settled, ...(this.#current ? [this.#current] : [])].flatMap(({ words, keywords }) =>
      words.map(({ word, start, end }) => ({ text: word, start, end, isKeyword: isInside(keywords, start, end) })),
    );
  }

  #show(): void {
    const parts = [...this.#settled, ...(this.#current ? [this.#current] : [])].flatMap((result) => {
      const words = result.words.map(({ word, start, end }) =>
        create(isInside(result.keywords, start, end) ? 'mark' : 'span', 'word', word),
      );
      // What is heard beyond the last complete word may still change.
      const settled = result.words.map(({ word }) => word).join(' ');
      const partial = result.text.startsWith(settled) ? result.text.slice(settled.length).trim() : '';
      return partial ? [...words, create('span', 'partial', partial)] : words;
    });
    if (parts.length > 0) {
      text.replaceChildren(...parts.flatMap((part) => [part, ' ']));
    }
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
  }

  #count(change: number): void {
    this.#falseAlarms += change;
    setText('false-alarms', String(this.#falseAlarms));
  }
}

const isInside = (keywords: readonly TimedKeyword[], start: number, end: number) =>
  keywords.some((keyword) => start >= keyword.start && end <= keyword.end);
