/** Takes as one sees them: a waveform each, with what was trimmed off, how loud it is, and why it was refused. */
import type { TakeProblem } from 'rill-asr/training';
import { create } from '../elements.ts';
import type { Key } from '../english.ts';
import { playAudio } from '../files.ts';
import { say } from '../strings.ts';
import { drawTake } from './take-picture.ts';
import type { ListedTake } from './take-list.ts';

const REASONS: Readonly<Record<TakeProblem, Key>> = {
  silent: 'takeSilent',
  clipped: 'takeClipped',
  'too-short': 'takeTooShort',
  'too-long': 'takeTooLong',
  several: 'takeSeveral',
};

export const reasonFor = (problem: TakeProblem) => say(REASONS[problem]);

export class TakesView {
  readonly #list: HTMLOListElement;
  readonly #onRemove: (id: number) => void;
  readonly #resized: ResizeObserver;
  #drawn = new Map<Element, ListedTake>();
  #stopPlaying: () => void = () => undefined;

  /** @param onRemove called with a take that is to go */
  constructor(list: HTMLOListElement, onRemove: (id: number) => void) {
    this.#list = list;
    this.#onRemove = onRemove;
    this.#resized = new ResizeObserver((entries) => {
      entries.forEach(({ target }) => {
        this.#draw(target);
      });
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      [...this.#drawn.keys()].forEach((canvas) => {
        this.#draw(canvas);
      });
    });
  }

  show(takes: readonly ListedTake[]): void {
    this.#resized.disconnect();
    this.#drawn = new Map();
    let fit = 0;
    this.#list.replaceChildren(
      ...takes.map((take) => this.#item(take, take.problem === undefined ? String(++fit) : '')),
    );
    this.#list.hidden = takes.length === 0;
  }

  /** Puts the focus on the button that removes a take, the last where there are not as many. @returns whether there is one */
  focus(index: number): boolean {
    const buttons = this.#list.querySelectorAll<HTMLButtonElement>('.remove');
    const found = buttons.item(Math.min(index, buttons.length - 1));
    found?.focus();
    return buttons.length > 0;
  }

  #item(take: ListedTake, number: string): HTMLElement {
    const { problem, name, level, start, end } = take;
    const title = name ?? (problem === undefined ? say('take', { number }) : say('takeRefused'));
    const item = create('li', problem === undefined ? '' : 'refused');
    const canvas = create('canvas');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', say('takePicture', { title }));
    this.#drawn.set(canvas, take);
    this.#resized.observe(canvas);
    const head = create('div', 'under');
    const figures = say('takeFigures', {
      seconds: (end - start).toFixed(1),
      level: level.toFixed(0).replace('-', '−'),
    });
    const text = problem === undefined ? figures : reasonFor(problem);
    head.append(create('span', 'title', title), this.#play(take, title), this.#remove(take, title));
    item.append(canvas, head, create('p', problem === undefined ? 'dim' : 'reason', text));
    return item;
  }

  #play({ waveform }: ListedTake, title: string): HTMLElement {
    const play = iconButton('▶', say('takePlay', { title }));
    play.addEventListener('click', () => {
      this.#stopPlaying();
      this.#stopPlaying = playAudio(waveform).stop;
    });
    return play;
  }

  #remove({ id }: ListedTake, title: string): HTMLElement {
    const remove = iconButton('✕', say('takeDelete', { title }));
    remove.classList.add('remove');
    remove.addEventListener('click', () => {
      this.#stopPlaying();
      this.#onRemove(id);
    });
    return remove;
  }

  #draw(canvas: Element): void {
    const take = this.#drawn.get(canvas);
    if (take && canvas instanceof HTMLCanvasElement) {
      drawTake(canvas, take);
    }
  }
}

function iconButton(sign: string, label: string): HTMLButtonElement {
  const made = create('button', 'quiet icon', sign);
  made.type = 'button';
  made.title = label;
  made.setAttribute('aria-label', label);
  return made;
}
