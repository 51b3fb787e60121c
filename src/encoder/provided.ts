import { RillError } from '../errors.ts';
import { unknownOutput } from './checks.ts';
import { ENCODER_OUT, type HeadOptions, type HeadOutput, type OutputName } from './outputs.ts';

/** The outputs that an encoder was asked for, each loaded once. */
export class ProvidedOutputs<Known extends HeadOutput> {
  readonly #known: readonly Known[];
  readonly #asked = new Map<HeadOutput, { options: string; loading: Promise<void> }>();

  /** @param known outputs that the engine has a way to */
  constructor(known: readonly Known[]) {
    this.#known = known;
  }

  /** Whether the engine has a way to an output: the encoder's own, and those of heads. */
  canProvide(output: OutputName): boolean {
    return output === ENCODER_OUT || this.#known.some((each) => each === output);
  }

  /**
   * Loads the head of an output that is asked for for the first time; waits for it where it is being loaded.
   *
   * @throws RillError `bad-argument` for an unknown output, or one that was asked for with other options; what `load` throws.
   */
  async provide(
    output: HeadOutput,
    { blankPenalty = 0 }: HeadOptions,
    load: (output: Known) => Promise<void>,
  ): Promise<void> {
    const options = JSON.stringify({ blankPenalty });
    const known = this.#known.find((each) => each === output);
    if (known === undefined) {
      throw unknownOutput(output, this.#known);
    }
    const earlier = this.#asked.get(known);
    if (earlier && earlier.options !== options) {
      throw new RillError('bad-argument', {
        got: `${known} with ${options}`,
        expected: earlier.options,
        remedy: 'Make another encoder for other options.',
      });
    }
    const { loading } = earlier ?? { loading: load(known) };
    this.#asked.set(known, { options, loading });
    try {
      await loading;
    } catch (error) {
      this.#asked.delete(known);
      throw error;
    }
  }
}
