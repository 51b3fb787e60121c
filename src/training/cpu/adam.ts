import { stepOptions, type OptimizerOptions } from '../optimizer-options.ts';
import { lengthOf, type Parameters } from './parameters.ts';

/** What a step was. */
export interface AdamStep {
  /** Of all gradients, before clipping. */
  gradNorm: number;
  /** Whether its gradients were not finite, so that nothing has changed. */
  isSkipped: boolean;
}

/**
 * Adam on the CPU, as PyTorch's: the same arithmetic as on the GPU (`shaders/training/adam.wgsl`), in float64, stored in
 * float32.
 */
export class Adam {
  readonly #parameters: Parameters;
  readonly #options: ReturnType<typeof stepOptions>;
  readonly #relativeRate: (name: string) => number;
  /** First and second moments, as the parameters lie. */
  readonly #moments: readonly { first: Float32Array; second: Float32Array }[];
  #taken = 0;

  constructor(
    parameters: Parameters,
    options: Pick<OptimizerOptions, 'betas' | 'eps' | 'maxGradNorm' | 'relativeRate'> = {},
  ) {
    this.#parameters = parameters;
    this.#options = stepOptions(options);
    this.#relativeRate = options.relativeRate ?? (() => 1);
    const moment = (length: number) => new Float32Array(length);
    this.#moments = parameters.all.map(lengthOf).map((length) => ({ first: moment(length), second: moment(length) }));
  }

  /** Takes a step by the gradients that are there. */
  step(learningRate: number): AdamStep {
    const { maxGradNorm, betas } = this.#options;
    const all = this.#parameters.all;
    const gradNorm = Math.sqrt(all.reduce((sum, each) => sum + squares(this.#parameters.gradients(each)), 0));
    if (!Number.isFinite(gradNorm)) {
      return { gradNorm, isSkipped: true };
    }
    this.#taken++;
    const [correction1, correction2] = betas.map((beta) => 1 - beta ** this.#taken);
    const factor = Math.min(1, maxGradNorm / (gradNorm + 1e-6));
    all.forEach((parameter, i) => {
      const rate = (learningRate * this.#relativeRate(parameter.name)) / correction1;
      this.#update(this.#parameters.values(parameter), this.#parameters.gradients(parameter), i, {
        ...{ factor, rate, rootOfCorrection: Math.sqrt(correction2) },
      });
    });
    return { gradNorm, isSkipped: false };
  }

  #update(
    values: Float32Array,
    gradients: Float32Array,
    index: number,
    { factor, rate, rootOfCorrection }: Record<'factor' | 'rate' | 'rootOfCorrection', number>,
  ): void {
    const { first, second } = this.#moments[index];
    const {
      eps,
      betas: [beta1, beta2],
    } = this.#options;
    for (let k = 0; k < values.length; k++) {
      const gradient = factor * gradients[k];
      first[k] = beta1 * first[k] + (1 - beta1) * gradient;
      second[k] = beta2 * second[k] + (1 - beta2) * gradient * gradient;
      values[k] -= (rate * first[k]) / (Math.sqrt(second[k]) / rootOfCorrection + eps);
    }
  }
}

function squares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) {
    sum += value * value;
  }
  return sum;
}
