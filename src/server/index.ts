/** Rill's entry for servers, `rill-asr/server`. */
export * from './corpus/index.ts';
