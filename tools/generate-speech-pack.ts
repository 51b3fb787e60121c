/** Makes weights/negatives/speech.wav, four bits a sample: `tsx tools/generate-speech-pack.ts in.wav out.wav`. */
import { readFile, writeFile } from 'node:fs/promises';
import { adpcmStep, type AdpcmState } from '../src/waveform/ima-adpcm.ts';
import { readWav } from '../src/waveform/wav.ts';

const BLOCK_BYTES = 1024;
const BLOCK_SAMPLES = 2 * (BLOCK_BYTES - 4) + 1;
const CODES = Array.from({ length: 16 }, (_, code) => code);

/** The code that comes nearest to a sample, and the state behind it. */
function nearest(state: AdpcmState, sample: number): { code: number; state: AdpcmState } {
  const steps = CODES.map((code) => ({ code, state: adpcmStep(state, code) }));
  const distance = (step: (typeof steps)[number]) => Math.abs(step.state.sample - sample);
  return steps.reduce((best, each) => (distance(each) < distance(best) ? each : best));
}

function encoded(samples: Int16Array): Uint8Array {
  const blocks = Math.ceil(samples.length / BLOCK_SAMPLES);
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  let index = 0;
  for (let block = 0; block < blocks; block++) {
    const own = samples.subarray(block * BLOCK_SAMPLES, (block + 1) * BLOCK_SAMPLES);
    const view = new DataView(bytes.buffer, block * BLOCK_BYTES, BLOCK_BYTES);
    let state: AdpcmState = { sample: own[0], index };
    view.setInt16(0, state.sample, true);
    view.setUint8(2, index);
    for (let i = 1; i < BLOCK_SAMPLES; i++) {
      const { code, state: next } = nearest(state, own[i] ?? 0);
      bytes[block * BLOCK_BYTES + 4 + ((i - 1) >> 1)] |= code << (i % 2 ? 0 : 4);
      state = next;
    }
    index = state.index;
  }
  return bytes;
}

function wavFile(sound: Uint8Array, sampleRate: number, samples: number): Uint8Array {
  const file = new Uint8Array(60 + sound.length);
  const view = new DataView(file.buffer);
  const tag = (at: number, text: string) => file.set(new TextEncoder().encode(text), at);
  tag(0, 'RIFF');
  view.setUint32(4, file.length - 8, true);
  tag(8, 'WAVEfmt ');
  view.setUint32(16, 20, true);
  view.setUint16(20, 17, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, Math.round((sampleRate * BLOCK_BYTES) / BLOCK_SAMPLES), true);
  view.setUint16(32, BLOCK_BYTES, true);
  view.setUint16(34, 4, true);
  view.setUint16(36, 2, true);
  view.setUint16(38, BLOCK_SAMPLES, true);
  tag(40, 'fact');
  view.setUint32(44, 4, true);
  view.setUint32(48, samples, true);
  tag(52, 'data');
  view.setUint32(56, sound.length, true);
  file.set(sound, 60);
  return file;
}

const [input, output] = process.argv.slice(2);
const { samples, sampleRate } = readWav(await readFile(input));
const words = Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(32768 * sample))));
await writeFile(output, wavFile(encoded(words), sampleRate, words.length));
