// y[t, f, o] = bias[o] + sum over i, j, c of weight[i, j, c, o] * x[stride * t + i, stride * f + j, c]
//
// A 3 x 3 convolution over time and frequency, no padding, channels last: a window is three rows of 3 * channels floats.
//
//   weight: f32 (outputs / 8, 3, 3, channels, 8): panels of eight outputs
//   bias: f32 (outputs)
//   x: f32 (at least stride * (times - 1) + 3, freqs, channels)
//   y: f32 (times, outFreqs, outputs)
//   outputs a multiple of 8
//
// Tiles are 4 neighbouring frequencies, then 2, then 1.

import { tile_1x8, tile_2x8, tile_4x8 } from './tile';

export function conv(
  weight: usize,
  bias: usize,
  x: usize,
  y: usize,
  times: i32,
  freqs: i32,
  channels: i32,
  outFreqs: i32,
  outputs: i32,
  stride: i32,
): void {
  const panel = 9 * (<usize>channels << 5);
  const xFreq = <usize>(stride * channels) << 2;
  const xTime = <usize>(freqs * channels) << 2;
  const yFreq = <usize>outputs << 2;
  const length = 3 * channels;
  for (const end = bias + yFreq; bias < end; bias += 32, y += 32, weight += panel) {
    for (let t = 0; t < times; t++) {
      let from = x + <usize>(t * stride) * xTime;
      let to = y + <usize>(t * outFreqs) * yFreq;
      let left = outFreqs;
      for (; left >= 4; left -= 4, from += 4 * xFreq, to += 4 * yFreq) {
        tile_4x8(weight, panel, bias, from, xFreq, 3, length, xTime, to, yFreq, false);
      }
      if (left & 2) {
        tile_2x8(weight, panel, bias, from, xFreq, 3, length, xTime, to, yFreq, false);
        from += 2 * xFreq;
        to += 2 * yFreq;
      }
      if (left & 1) {
        tile_1x8(weight, panel, bias, from, xFreq, 3, length, xTime, to, yFreq, false);
      }
    }
  }
}
