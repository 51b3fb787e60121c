/** All that a seed draws for a micro-batch: what the GPU draws for itself, for the network's twin. */
import {
  SITES,
  combineWeights,
  dropoutMask,
  layerAlphas,
  layerSites,
  type DrawStep,
  type Draws,
} from '../../../src/training/draws.ts';
import type { NetworkSizes } from './network.ts';

/** @param frames T', padding included; what is drawn for a frame does not depend on it */
export function networkDraws(
  step: DrawStep,
  { numEncoderLayers, dModel, dimFeedforward, auxLayers, dropout }: NetworkSizes,
  { batch, frames }: { batch: number; frames: number },
  { layerDropout, warmup }: { layerDropout: number; warmup: number },
): Draws {
  const mask = (site: number, width: number) => dropoutMask(step, site, { batch, frames, width }, dropout);
  return {
    alpha: layerAlphas(step, numEncoderLayers, { probability: layerDropout, warmup }),
    layers: Array.from({ length: numEncoderLayers }, (_, layer) => {
      const sites = layerSites(layer);
      return {
        lstm: mask(sites.lstm, dModel),
        ffInner: mask(sites.ffInner, dimFeedforward),
        ff: mask(sites.ff, dModel),
      };
    }),
    head: mask(SITES.headDropout, dModel),
    combine: auxLayers.length > 0 ? combineWeights(step, { batch, frames }, auxLayers.length) : undefined,
  };
}
