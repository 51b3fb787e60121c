/** Rill's entry for training, `rill-asr/training`, beside the public one: pages that only recognise load none of it. */
export * from './teach/index.ts';
