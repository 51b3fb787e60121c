/** A taught model, tried: what its spotter hears in the microphone, and which of it was not said. */
import { Microphone, RecognizerClient, type ModelFiles, type TimedKeyword, type Waveform } from 'rill-asr';
import { button, create, element, setText } from '../elements.ts';
import { Level } from '../level.ts';
import { say } from '../strings.ts';
import { isSamePhrase } from './lessons.ts';
import { RecentAudio } from './recent-audio.ts';
import type { TeachStatus } from './teach-status.ts';

/** Encoder frames of a chunk: hits come a fifth of a second behind. */
const CHUNK_FRAMES = 4;
/** Seconds before the end of a hit that woke it, and behind it. */
const [BEFORE, BEHIND] = [2, 0.3];

export interface TryOutHandlers {
  /** What is asked of the microphone. */
  constraints: () => MediaTrackConstraints | undefined;
  /** The microphone is about to be opened. */
  onListen: () => void;
  /** A phrase was heard that was not said: the sound around it. */
  onFalseAlarm: (phrase: string, sound: Waveform) => void;
}

/** What is being tried, until it is over. */
interface Trial {
  isOver: boolean;
  recent: RecentAudio;
  end: () => void;
}

export class TryOut {
  readonly #button = button('try');
  readonly #hits = element('try-hits', HTMLUListElement);
  readonly #level = new Level(element('try-level', HTMLMeterElement), this.#button);
  readonly #status: TeachStatus;
  readonly #handlers: TryOutHandlers;
  #files: ModelFiles | undefined;
  /** The phrases that were taught: others are none of its false alarms. */
  #phrases: readonly string[] = [];
  #trial: Trial | undefined;

  constructor(status: TeachStatus, handlers: TryOutHandlers) {
    this.#status = status;
    this.#handlers = handlers;
    this.#button.addEventListener('click', () => {
      if (this.#trial) {
        this.stop();
      } else {
        void this.#run();
      }
    });
    this.sayAgain();
  }

  /** Takes the model that is loaded; where it is another than before, what that has heard is forgotten. */
  setModel(files: ModelFiles | undefined, phrases: readonly string[]): void {
    if (files === this.#files) {
      return;
    }
    this.stop();
    this.#files = files;
    this.#phrases = phrases;
    this.#hits.replaceChildren();
  }

  stop(): void {
    if (this.#trial) {
      this.#trial.isOver = true;
      this.#trial.end();
      this.#trial = undefined;
      this.#level.clear();
      this.sayAgain();
    }
  }

  sayAgain(): void {
    this.#button.classList.toggle('hearing', this.#trial !== undefined);
    setText('try-says', say(this.#trial ? 'stop' : 'teachTry'));
  }

  async #run(): Promise<void> {
    if (!this.#files) {
      return;
    }
    this.#handlers.onListen();
    const trial: Trial = { isOver: false, recent: new RecentAudio(), end: () => undefined };
    this.#trial = trial;
    this.sayAgain();
    try {
      await this.#listen(trial, this.#files);
    } catch (error) {
      if (!trial.isOver) {
        this.stop();
        this.#status.warnOf(error);
      }
    }
  }

  async #listen(trial: Trial, files: ModelFiles): Promise<void> {
    const client = new RecognizerClient(new Worker(new URL('../worker.ts', import.meta.url), { type: 'module' }));
    trial.end = () => {
      client.dispose();
    };
    await client.loadSpotter(files, { chunkFrames: CHUNK_FRAMES });
    const stream = await client.createStream({
      // Each hit is told once.
      onUpdate: ({ result }) => {
        result.keywords.forEach((hit) => {
          this.#addHit(hit, trial.recent.cut(hit.end - BEFORE, hit.end + BEHIND));
        });
      },
    });
    const microphone = await Microphone.open({
      constraints: this.#handlers.constraints(),
      onAudio: (piece) => {
        this.#level.add(piece.samples);
        trial.recent.add(piece);
        stream.push(piece);
      },
      onEnd: () => {
        this.stop();
      },
    });
    trial.end = () => {
      microphone.close();
      client.dispose();
    };
    if (trial.isOver) {
      trial.end();
      return;
    }
    this.#status.tell(() => say('teachTrying', { phrases: this.#phrases.join(', ') }));
  }

  #addHit({ keyword, start, score }: TimedKeyword, sound: Waveform): void {
    const item = create('li', '', `${keyword} ${start.toFixed(1)} s, ${score.toFixed(2)}`);
    if (this.#phrases.some((phrase) => isSamePhrase(phrase, keyword))) {
      const mark = create('button', '', '✕');
      mark.type = 'button';
      mark.title = say('teachNotIt');
      mark.setAttribute('aria-label', `${keyword}: ${say('teachNotIt')}`);
      mark.addEventListener('click', () => {
        item.classList.add('false');
        mark.disabled = true;
        this.#handlers.onFalseAlarm(keyword, sound);
      });
      item.append(mark);
    }
    this.#hits.append(item);
  }
}
