/**
 * Set up before each test file: Dawn looks less often for what it waits for.
 *
 * The package `webgpu` looks for finished work, compiled kernels among it, each turn of the event loop by the global
 * `setImmediate` (AsyncRunner in Dawn's src/dawn/node/binding, webgpu 0.6.2; crbug.com/dawn/1127). This takes a core from
 * the software adapter that it waits for: test/shaders/lstm.test.ts took 34 s of processor time, and takes 16. To be deleted
 * when Dawn waits by itself.
 */

/** Looks at once, of a wait; what is there soon is found soon. */
const AT_ONCE = 4;
/** Between the others. */
const PAUSE_MS = 1;

const { setImmediate: atOnce, setTimeout: later } = globalThis;
let isLooking = false;
let looks = 0;

/** Dawn's own function is the only one without a name and without a source. */
const isOfDawn = (callback: (...args: never) => unknown) =>
  callback.name === '' && Function.prototype.toString.call(callback).includes('[native code]');

function paused(callback: (...args: unknown[]) => void, ...args: unknown[]) {
  if (!isOfDawn(callback)) {
    return atOnce(callback, ...args);
  }
  // It asks for the next look within the one before, unless a wait begins.
  looks = isLooking ? looks + 1 : 0;
  const look = () => {
    isLooking = true;
    try {
      callback(...args);
    } finally {
      isLooking = false;
    }
  };
  return looks < AT_ONCE ? atOnce(look) : later(look, PAUSE_MS);
}

globalThis.setImmediate = Object.assign<typeof paused, typeof setImmediate>(paused, atOnce);
