/**
 * Raw embeddings: the encoder alone, chunk by chunk, with its states on the GPU between them.
 *
 *   npx tsx examples/embeddings.ts weights/wake-words weights/wake-words/samples/alexa.wav
 */
import { readFile } from 'node:fs/promises';
import { ENCODER_OUT, GpuContext, RnnEncoder, fbank, openModel, readWav } from 'rill';
import { create, globals } from 'webgpu';

const [folder = 'weights/wake-words', path = 'weights/wake-words/samples/alexa.wav'] = process.argv.slice(2);
const CHUNK_FRAMES = 4;

Object.assign(globalThis, globals);
const gpu = await GpuContext.create(create([]));
const model = openModel({
  'config.json': await readFile(`${folder}/config.json`, 'utf8'),
  'model.safetensors': await readFile(`${folder}/model.safetensors`),
});
const encoder = await RnnEncoder.create(gpu, model, { maxStreams: 1, maxFrames: CHUNK_FRAMES });

const { samples } = readWav(await readFile(path));
const features = fbank(samples, model.config.features); // (frames, 80)
const width = encoder.sizes.numFeatures;

const state = encoder.createState();
// Four feature frames make one embedding; the first chunk brings five more of context.
let at = 0;
for (let rows = 4 * CHUNK_FRAMES + 5; at + rows * width <= features.length; rows = 4 * CHUNK_FRAMES) {
  const [{ frames, outputs }] = await encoder.step([{ state, features: features.subarray(at, at + rows * width) }]);
  const embeddings = outputs[ENCODER_OUT]; // (frames, d_model)
  for (let frame = 0; frame < frames; frame++) {
    const embedding = embeddings.subarray(frame * encoder.sizes.dModel, (frame + 1) * encoder.sizes.dModel);
    console.log([...embedding.subarray(0, 4)].map((value) => value.toFixed(4)).join(' '), '…');
  }
  at += rows * width;
}
const { h, c } = await state.read(); // (layers, d_model) and (layers, rnn_hidden_size)
console.log(`h of ${h.length} values, c of ${c.length}`);
process.exit(0);
