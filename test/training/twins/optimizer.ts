/**
 * A step of Adam, AdamW or Eve over the weights that are trained, t counted from 1.
 *
 *     norm = sqrt Σ g²;  g *= min(1, max_norm / (norm + 1e-6)); with a norm that is not finite the step is skipped
 *     Adam:   g += λ w
 *     AdamW:  w *= 1 − lr λ
 *     Eve:    w *= 1 − λ if rms(w) > 0.1 and w has more than one element
 *     m = β1 m + (1 − β1) g;  v = β2 v + (1 − β2) g²
 *     w −= lr / (1 − β1^t) · m / (sqrt(v) / sqrt(1 − β2^t) + eps)
 *     Eve:    single numbers are then clamped to [−10, 2]
 */
import { weightOf, type Gradients } from './weights.ts';

export interface OptimizerOptions {
  kind: 'adam' | 'adamw' | 'eve';
  lr: number;
  betas: readonly [number, number];
  eps: number;
  weightDecay?: number;
  /** Without it gradients are not clipped. */
  maxNorm?: number;
}

export interface OptimizerState {
  /** Steps taken, t. */
  taken: number;
  skipped: number;
  /** m and v, exp_avg and exp_avg_sq of PyTorch. */
  moments: Map<string, { m: Float64Array; v: Float64Array }>;
}

const TARGET_RMS = 0.1;

export const newOptimizerState = (): OptimizerState => ({ taken: 0, skipped: 0, moments: new Map() });

const squares = (values: Float64Array) => values.reduce((sum, value) => sum + value ** 2, 0);

/** Over all gradients. */
export const gradientNorm = (gradients: Gradients) =>
  Math.sqrt([...gradients.values()].reduce((sum, gradient) => sum + squares(gradient), 0));

export const clipFactor = (norm: number, maxNorm = Infinity) => Math.min(1, maxNorm / (norm + 1e-6));

/** Changes the weights that have a gradient, and the state. Returns the norm before clipping. */
export function optimizerStep(
  weights: Map<string, Float64Array>,
  gradients: Gradients,
  state: OptimizerState,
  { kind, lr, betas: [beta1, beta2], eps, weightDecay = 0, maxNorm }: OptimizerOptions,
): number {
  const norm = gradientNorm(gradients);
  if (!Number.isFinite(norm)) {
    state.skipped++;
    return norm;
  }
  state.taken++;
  const clip = clipFactor(norm, maxNorm);
  const [correction1, correction2] = [1 - beta1 ** state.taken, 1 - beta2 ** state.taken];
  gradients.forEach((gradient, name) => {
    const w = weightOf(weights, name);
    const size = w.length;
    const { m, v } = state.moments.get(name) ?? { m: new Float64Array(size), v: new Float64Array(size) };
    state.moments.set(name, { m, v });
    const isDecayed = kind === 'adamw' || (kind === 'eve' && size > 1 && Math.sqrt(squares(w) / size) > TARGET_RMS);
    const decay = isDecayed ? 1 - (kind === 'adamw' ? lr * weightDecay : weightDecay) : 1;
    for (let k = 0; k < size; k++) {
      const g = clip * gradient[k] + (kind === 'adam' ? weightDecay * w[k] : 0);
      m[k] = beta1 * m[k] + (1 - beta1) * g;
      v[k] = beta2 * v[k] + (1 - beta2) * g ** 2;
      w[k] = decay * w[k] - ((lr / correction1) * m[k]) / (Math.sqrt(v[k]) / Math.sqrt(correction2) + eps);
      if (kind === 'eve' && size === 1) {
        w[k] = Math.min(Math.max(w[k], -10), 2);
      }
    }
  });
  return norm;
}
