import { resampled } from '../../waveform/resampler.ts';
import type { Waveform } from '../../waveform/waveform.ts';

/**
 * Speech said faster, and as much higher: it takes 1 / factor of the time, as lhotse's `perturb_speed` has it.
 *
 * @param factor above 1 faster, below 1 slower; sample rates being whole, it is kept to 1 / sampleRate
 * @throws RillError `bad-audio` for a factor that no whole sample rate stands for.
 */
export function withSpeed({ samples, sampleRate }: Waveform, factor: number): Waveform {
  return resampled({ samples, sampleRate: Math.round(sampleRate * factor) }, sampleRate);
}
