import { fbank, type FbankOptions } from '../src/features/fbank.ts';
import { requireFinite } from '../src/model/tensors.ts';
import { Resampler } from '../src/waveform/resampler.ts';
import { readRecording } from './recordings.ts';

/** The log-mel features of a recording, (frames, numMelBins), with silence added behind it. */
export async function readFeatures(path: string, options: FbankOptions, tailSeconds = 0) {
  const { samples, sampleRate } = await readRecording(path);
  requireFinite('bad-audio', path, samples);
  const resampler = new Resampler(sampleRate, options.sampleRate);
  const parts = [resampler.accept(samples), resampler.finish()];
  const padded = new Float32Array(parts[0].length + parts[1].length + Math.round(tailSeconds * options.sampleRate));
  padded.set(parts[0]);
  padded.set(parts[1], parts[0].length);
  const features = fbank(padded, options);
  return { features, frames: features.length / options.numMelBins, seconds: samples.length / sampleRate };
}
