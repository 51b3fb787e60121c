import { fbank, type FbankOptions } from '../src/features/fbank.ts';
import { requireFinite } from '../src/model/tensors.ts';
import { resampled } from '../src/waveform/resampler.ts';
import { readRecording } from './recordings.ts';

/** The log-mel features of a recording, (frames, numMelBins), with silence added behind it. */
export async function readFeatures(path: string, options: FbankOptions, tailSeconds = 0) {
  const recording = await readRecording(path);
  requireFinite('bad-audio', path, recording.samples);
  const { samples, sampleRate } = resampled(recording, options.sampleRate);
  const padded = new Float32Array(samples.length + Math.round(tailSeconds * sampleRate));
  padded.set(samples);
  const features = fbank(padded, options);
  return { features, frames: features.length / options.numMelBins, seconds: recording.samples.length / recording.sampleRate };
}
