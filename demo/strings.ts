/** What the page says, in the language that it speaks now. */
import { CHINESE } from './chinese.ts';
import { ENGLISH, type Key } from './english.ts';

const TEXTS = { en: ENGLISH, zh: CHINESE } as const;
export type Language = keyof typeof TEXTS;
export const LANGUAGES: readonly Language[] = ['en', 'zh'];

let language: Language = navigator.language.startsWith('zh') ? 'zh' : 'en';

export const currentLanguage = () => language;

/** @param values what `{name}` in the text is filled in with, by name */
export function say(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

const isKey = (key: string | undefined): key is Key => key !== undefined && key in ENGLISH;

/** Fills in every element with `data-say`, the labels of those with `data-say-label`, and what a `data-say-content` describes. */
export function speak(chosen: Language = language): void {
  language = chosen;
  document.documentElement.lang = chosen;
  const spoken = document.querySelectorAll<HTMLElement>('[data-say], [data-say-label], [data-say-content]');
  for (const element of spoken) {
    const { say: text, sayLabel: label, sayContent: content } = element.dataset;
    if (isKey(text)) {
      element.textContent = say(text);
    }
    if (isKey(label)) {
      element.setAttribute('aria-label', say(label));
    }
    if (isKey(content)) {
      element.setAttribute('content', say(content));
    }
  }
}
