import { fbank, type FbankOptions } from '../src/features/fbank.ts';
import { requireFinite } from '../src/model/tensors.ts';
import { resampled } from '../src/waveform/resampler.ts';
import type { Waveform } from '../src/waveform/waveform.ts';
import type { Item } from './manifest.ts';
import { readRecording } from './recordings.ts';

/** A recording of a list, or the part of it that is meant. @throws RillError as {@link readRecording} does */
export async function readItem({ audio, start = 0, duration = Infinity }: Omit<Item, 'text'>): Promise<Waveform> {
  const { samples, sampleRate } = await readRecording(audio);
  requireFinite('bad-audio', audio, samples);
  const [first, end] = [start, start + duration].map((seconds) => Math.round(seconds * sampleRate));
  return { samples: samples.subarray(first, end), sampleRate };
}

/** The log-mel features of a recording, (frames, numMelBins), with silence added behind it. */
export async function readFeatures(item: Omit<Item, 'text'>, options: FbankOptions, tailSeconds = 0) {
  const recording = await readItem(item);
  const { samples, sampleRate } = resampled(recording, options.sampleRate);
  const padded = new Float32Array(samples.length + Math.round(tailSeconds * sampleRate));
  padded.set(samples);
  const features = fbank(padded, options);
  return {
    features,
    frames: features.length / options.numMelBins,
    seconds: recording.samples.length / recording.sampleRate,
  };
}
