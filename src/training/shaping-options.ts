/**
 * icefall's shaping of gradients, for training from scratch: gradients are then no longer those of the loss. Padding counts for
 * nothing in it, while in icefall it counts in the statistics of balancers.
 */
export interface ShapingOptions {
  /** GradientFilter around every LSTM: an utterance with a far larger gradient than the others counts for less. */
  gradientFilter?: boolean;
  /**
   * ActivationBalancers behind each convolution, the embedding's norm and the first half of each feed-forward, and before each
   * layer's norm; each acts in a quarter of the micro-batches, which are drawn.
   */
  balancers?: boolean;
}
