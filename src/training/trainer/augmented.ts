import { fbank } from '../../features/fbank.ts';
import type { Waveform } from '../../waveform/waveform.ts';
import { amplified } from '../augment/level.ts';
import { mixed, withOtherSpeech } from '../augment/mix.ts';
import { noise } from '../augment/noise.ts';
import { Randoms } from '../augment/randoms.ts';
import { specAugment } from '../augment/spec-augment.ts';
import { withSpeed } from '../augment/speed.ts';
import { SITES, type DrawStep } from '../draws.ts';
import type { Dataset } from './dataset.ts';
import type { Augmentation } from './options.ts';

/**
 * The features of a recording as one micro-batch has them.
 *
 * @param n which recording
 * @param place of it in the micro-batch: with `step`, what is random depends on nothing else
 * @returns (frames, num_features)
 */
export async function augmentedFeatures(
  dataset: Dataset,
  n: number,
  place: number,
  step: DrawStep,
  augmentation: Augmentation,
): Promise<Float32Array<ArrayBuffer>> {
  const { features: options } = dataset.model.config;
  const isSound = ['speed', 'gain', 'noise', 'speech'].some((name) => name in augmentation);
  const features = isSound
    ? fbank((await augmentedSound(dataset, n, place, step, augmentation)).samples, options)
    : await dataset.features(n);
  return augmentation.specAugment
    ? specAugment(new Randoms(step, SITES.specAugment, place), features, options.numMelBins, augmentation.specAugment)
    : features;
}

async function augmentedSound(
  dataset: Dataset,
  n: number,
  place: number,
  step: DrawStep,
  { speed = [], gain, noise: noises, speech }: Augmentation,
): Promise<Waveform> {
  let sound = await dataset.utterances[n].read();
  const { sampleRate } = sound;
  if (speed.length > 0) {
    sound = withSpeed(sound, speed[new Randoms(step, SITES.speed, place).integer(0, speed.length)]);
  }
  let { samples } = sound;
  if (gain) {
    samples = amplified(samples, new Randoms(step, SITES.gain, place).uniform(...gain));
  }
  if (speech) {
    const randoms = new Randoms(step, SITES.otherSpeech, place);
    if (randoms.chance(speech.probability)) {
      const other = await dataset.utterances[randoms.integer(0, dataset.utterances.length)].read();
      const start = randoms.integer(0, Math.max(1, other.samples.length));
      samples = withOtherSpeech(samples, other.samples, { below: randoms.uniform(...speech.below), start });
    }
  }
  if (noises) {
    const randoms = new Randoms(step, SITES.noise, place);
    if (randoms.chance(noises.probability)) {
      const colour = randoms.chance(0.5) ? 'pink' : 'white';
      const level = randoms.uniform(...noises.level);
      samples = mixed(samples, noise(randoms, { length: samples.length, colour, level }));
    }
  }
  return { samples, sampleRate };
}
