import type { Engine } from './engine.ts';

/** How long the notice of a lost device may come after the first failure. */
const LOSS_NOTICE_MS = 250;

/** Whether work on a device failed because it was lost; the notice of that may come a little later. */
export function wasLost({ lost }: Engine): Promise<boolean> {
  const patience = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), LOSS_NOTICE_MS));
  return Promise.race([lost.then(() => true), patience]);
}
