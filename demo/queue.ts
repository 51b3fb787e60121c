/** Recordings that were dropped together: heard one after the other, and shown with what was heard in each. */
import type { Recording } from './bundled.ts';
import { button, create, element } from './elements.ts';
import type { Recordings } from './recordings.ts';
import { say } from './strings.ts';

type State = 'Waiting' | 'Hearing' | 'Heard' | 'Nothing' | 'Unreadable' | 'Left';

interface Entry {
  recording: Recording;
  state: State;
  /** What was heard in it. */
  text: string;
}

export class RecordingQueue {
  readonly #recordings: Recordings;
  readonly #box = element('queue', HTMLElement);
  readonly #list = element('queue-files', HTMLOListElement);
  readonly #stop = button('stop-queue');
  #entries: Entry[] = [];

  /** @param onStop ends what is heard */
  constructor(recordings: Recordings, onStop: () => void) {
    this.#recordings = recordings;
    this.#stop.addEventListener('click', onStop);
  }

  /** Hears recordings in turn, behind those that wait already. */
  async hear(recordings: readonly Recording[]): Promise<void> {
    const added = recordings.map((recording): Entry => ({ recording, state: 'Waiting', text: '' }));
    if (this.#isRunning) {
      this.#entries.push(...added);
      this.sayAgain();
      return;
    }
    this.#entries = added;
    // More may be added meanwhile.
    for (const entry of this.#entries) {
      if (entry.state === 'Waiting') {
        await this.#hear(entry);
      }
    }
  }

  /** Shows them in the language that the page speaks now; a single one has no need of a list. */
  sayAgain(): void {
    this.#box.hidden = this.#entries.length < 2;
    this.#stop.hidden = !this.#isRunning;
    this.#list.replaceChildren(
      ...this.#entries.map(({ recording, state, text }) => {
        const item = create('li', '', `${recording.name} `);
        item.append(create('span', '', say(`queue${state}`, { text })));
        return item;
      }),
    );
  }

  get #isRunning(): boolean {
    return this.#entries.some(({ state }) => state === 'Waiting' || state === 'Hearing');
  }

  async #hear(entry: Entry): Promise<void> {
    entry.state = 'Hearing';
    this.sayAgain();
    const { end, text } = await this.#recordings.listen(entry.recording);
    entry.text = text;
    entry.state = end === 'heard' ? (text ? 'Heard' : 'Nothing') : end === 'unreadable' ? 'Unreadable' : 'Left';
    if (end === 'left') {
      // Whoever stops one, or begins to hear something else, wants none of the others.
      for (const other of this.#entries.filter(({ state }) => state === 'Waiting')) {
        other.state = 'Left';
      }
    }
    this.sayAgain();
  }
}
