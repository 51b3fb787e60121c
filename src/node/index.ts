/** Rill's entry for Node, `rill-asr/node`, beside the public one. */
export { openNodeEngine, type NodeEngineOptions } from './engine.ts';
export { openModelFolder } from './files.ts';
export { openNegativeSpeech } from './speech.ts';
