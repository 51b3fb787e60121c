/** One source at a time: a new one ends the one before, and nothing of that one is shown any more. */
import type { WorkerStream } from 'rill-asr';
import type { KeywordList } from './keyword-list.ts';
import type { DemoModel } from './model.ts';
import type { Panels } from './panels.ts';
import type { SourceButtons } from './source-buttons.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';

/** A source's turn, from its start until another begins or it is given up. */
export interface Turn {
  isCurrent: boolean;
  /** What hears the source, while more of it comes. */
  stream?: WorkerStream;
  /** Ends the source. */
  cut: () => void;
  /** Seconds that have been decoded. */
  decoded: number;
}

/** What listening is done with. */
export interface ListeningParts {
  model: DemoModel;
  keywords: KeywordList;
  panels: Panels;
  buttons: SourceButtons;
  status: Status;
}

export class Listening {
  readonly #parts: ListeningParts;
  #turn: Turn | undefined;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
  }

  /** Whether something is listened to now. */
  get isHearing(): boolean {
    return this.#turn?.stream !== undefined;
  }

  /** Ends what is listened to, and gives another source its turn. */
  begin(name: string): Turn {
    this.abandon();
    this.#parts.buttons.press(name);
    this.#parts.status.warn('');
    return (this.#turn = { isCurrent: true, cut: () => undefined, decoded: 0 });
  }

  /** Ends what is listened to at once; nothing of it comes any more. */
  abandon(): void {
    const stream = this.#turn?.stream;
    this.end();
    stream?.discard();
    if (this.#turn) {
      this.#turn.isCurrent = false;
    }
  }

  /** Ends the source; what its stream has yet to say is still shown. */
  end(): void {
    if (this.#turn) {
      this.#turn.cut();
      this.#turn.cut = () => undefined;
      this.#turn.stream = undefined;
    }
    this.#parts.buttons.press(undefined);
    this.#parts.panels.endAudio();
    this.#parts.status.hideProgress();
  }

  /** Ends what is listened to, at the user's wish; its last words still come. */
  stop(): void {
    const stream = this.#turn?.stream;
    if (stream) {
      this.end();
      void stream.finish();
    } else {
      this.abandon();
    }
    this.#parts.status.tell(() => say('ready'));
  }

  /** Gives a turn up for what went wrong, and says so, unless it is over anyway. */
  fail(turn: Turn, error: unknown): void {
    if (turn.isCurrent) {
      this.abandon();
      this.#parts.model.fail(error);
    }
  }

  /**
   * Opens the stream of a turn, on panels that are cleared for it.
   *
   * @param label what is said in a recording, where that is known
   * @returns undefined when another source has begun meanwhile
   */
  async open(turn: Turn, label?: string): Promise<WorkerStream | undefined> {
    if (!turn.isCurrent) {
      return undefined;
    }
    const { model, keywords, panels } = this.#parts;
    panels.clear(model.info?.numFeatures, label);
    const beam = model.info?.method === 'modified_beam_search' || model.info?.method === 'ctc_beam';
    const stream = await model.client.createStream({
      keywords: keywords.keywords,
      ...(beam && { hotwords: keywords.hotwords }),
      features: true,
      stateLayer: panels.states.layer,
      onUpdate: (update) => {
        if (turn.isCurrent) {
          turn.decoded = update.chunk.end;
          panels.show(update);
        }
      },
      onFeatures: (features) => {
        if (turn.isCurrent) {
          panels.addFeatures(features);
        }
      },
      onError: (error) => {
        this.fail(turn, error);
      },
    });
    if (!turn.isCurrent) {
      stream.discard();
      return undefined;
    }
    return (turn.stream = stream);
  }

  /** Looks for other keywords from now on. */
  async setKeywords(keywords: string): Promise<void> {
    await this.#turn?.stream?.setKeywords(keywords);
  }

  /** Shows the states of another layer from now on. */
  setLayer(layer: number): void {
    this.#turn?.stream?.setOptions({ features: true, stateLayer: layer });
  }
}
