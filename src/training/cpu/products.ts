import type { Address, Kernels } from '../../wasm/kernels.ts';
import type { Heap } from '../../wasm/memory.ts';
import type { Matrix, Parameter } from './parameters.ts';

/** The products of a linear layer and of its gradients, all by `wasm/linear.ts` over operands that are laid out for it. */
export class Products {
  readonly #kernels: Kernels;
  /** Operands that are laid out anew for one product. */
  readonly #turned: Address;
  readonly #panels: Address;
  /** What is added where there is no bias. */
  readonly #zeros: Address;

  /**
   * @param longest floats of the largest operand: a matrix, or as many rows as there may be of the widest array
   * @param widest floats of the widest row
   * @throws RillError `no-memory`.
   */
  constructor(kernels: Kernels, heap: Heap, longest: number, widest: number) {
    this.#kernels = kernels;
    this.#zeros = heap.keep(4 * widest);
    this.#turned = heap.keep(4 * longest);
    this.#panels = heap.keep(4 * longest);
  }

  /** Lays a matrix out as products read it: whenever it has changed. */
  prepare({ value, rows, width, forwards, backwards }: Matrix): void {
    this.#kernels.transpose(value, this.#turned, rows, width);
    this.#kernels.panels(this.#turned, forwards, width, rows);
    this.#kernels.panels(value, backwards, rows, width);
  }

  /** y = x Wᵀ + b, or y += x Wᵀ + b, for `rows` rows. Without a bias b is zero. */
  forwards(
    { forwards, width, rows: outputs }: Matrix,
    bias: Address | undefined,
    x: Address,
    y: Address,
    rows: number,
    accumulate = false,
  ): void {
    this.#kernels.linear(forwards, bias ?? this.#zeros, x, y, rows, width, outputs, accumulate, false);
  }

  /** dx = dy W, or dx += dy W. */
  inputGradient(
    { backwards, width, rows: outputs }: Matrix,
    dy: Address,
    dx: Address,
    rows: number,
    accumulate = false,
  ): void {
    this.#kernels.linear(backwards, this.#zeros, dy, dx, rows, outputs, width, accumulate, false);
  }

  /** dW += dyᵀ x, over `rows` rows. */
  weightGradient({ gradient, width, rows: outputs }: Matrix, dy: Address, x: Address, rows: number): void {
    this.#kernels.transpose(dy, this.#turned, rows, outputs);
    this.#kernels.panels(x, this.#panels, rows, width);
    this.#kernels.linear(this.#panels, this.#zeros, this.#turned, gradient, outputs, rows, width, true, false);
  }

  /** db += Σ dy, over `rows` rows. */
  biasGradient({ gradient, width }: Parameter, dy: Address, rows: number): void {
    this.#kernels.columnSums(dy, gradient, rows, width);
  }
}
