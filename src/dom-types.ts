/**
 * Types of the DOM that public declarations name. Where a program has none of them, as in Node, they are empty here, so that
 * it compiles all the same; elsewhere these add nothing to them.
 */
declare global {
  /* eslint-disable @typescript-eslint/no-empty-object-type */
  interface MediaTrackConstraints {}
  interface Worker {}
}

export {};
