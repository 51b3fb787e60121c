import { element } from './elements.ts';
import { LANGUAGES, currentLanguage, speak } from './strings.ts';

/** What says something that is not in the page's own text. */
export interface Speaker {
  sayAgain: () => void;
}

/** Speaks the language that is chosen: the page's own text first, then what others have put in its place. */
export function connectLanguage(speakers: readonly Speaker[]): void {
  const select = element('language', HTMLSelectElement);
  speak();
  select.value = currentLanguage();
  select.addEventListener('change', () => {
    speak(LANGUAGES.find((each) => each === select.value));
    speakers.forEach((speaker) => {
      speaker.sayAgain();
    });
  });
}
