/**
 * Raw embeddings: the encoder alone, chunk by chunk, with its states kept between them, on whatever is faster here.
 *
 *   npx tsx examples/embeddings.ts weights/wake-words weights/wake-words/samples/alexa.wav
 */
import { readFile } from 'node:fs/promises';
import { Fbank, Resampler, readWav } from 'rill-asr';
import { openModelFolder, openNodeEngine } from 'rill-asr/node';

const [folder = 'weights/wake-words', path = 'weights/wake-words/samples/alexa.wav'] = process.argv.slice(2);
const CHUNK_FRAMES = 4;

const engine = await openNodeEngine();
const model = await openModelFolder(folder);
const encoder = await engine.createEncoder(model, { maxStreams: 1, maxFrames: CHUNK_FRAMES });

const { samples, sampleRate } = readWav(await readFile(path));
const resampler = new Resampler(sampleRate, model.config.features.sampleRate);
const resampled = Float32Array.from([...resampler.accept(samples), ...resampler.finish()]);
const fbank = new Fbank(model.config.features);
const features = Float32Array.from([...fbank.accept(resampled), ...fbank.finish()]); // (frames, 80)
const width = encoder.sizes.numFeatures;

const state = encoder.createState();
// Four feature frames make one embedding; the first chunk brings five more of context, the last may be shorter.
let at = 0;
for (let context = 5; ; context = 0) {
  const left = Math.floor((features.length / width - at - context) / 4);
  if (left < 1) {
    break;
  }
  const rows = context + 4 * Math.min(CHUNK_FRAMES, left);
  const chunk = features.subarray(at * width, (at + rows) * width);
  const [{ frames, outputs }] = await encoder.step([{ state, features: chunk }]);
  const embeddings = outputs.encoder_out; // (frames, d_model)
  for (let frame = 0; frame < frames; frame++) {
    const embedding = embeddings.subarray(frame * encoder.sizes.dModel, (frame + 1) * encoder.sizes.dModel);
    console.log([...embedding.subarray(0, 4)].map((value) => value.toFixed(4)).join(' '), '…');
  }
  at += rows;
}
const { h, c } = await state.read(); // (layers, d_model) and (layers, rnn_hidden_size)
console.log(`h of ${h.length} values, c of ${c.length}`);
engine.dispose();
