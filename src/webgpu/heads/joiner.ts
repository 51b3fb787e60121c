import { requireTransducer } from '../../encoder/checks.ts';
import { JOINER_ENCODER_PROJ } from '../../encoder/outputs.ts';
import { padded } from '../weights.ts';
import type { EncoderHead } from '../workspace.ts';
import { loadLinear, type HeadHost } from './linear.ts';

/**
 * `joiner.encoder_proj`, run in the encoder's own step.
 *
 * @throws RillError `bad-model` when the model has no transducer head.
 */
export async function loadJoinerHead(host: HeadHost): Promise<EncoderHead> {
  const { joinerDim: width } = requireTransducer(host.model.sizes);
  const linear = await loadLinear(host, 'joiner.encoder_proj', [width, host.sizes.dModel]);
  return {
    bind(scope, { lanes, frames }, { x, step }) {
      const y = scope.createStorage('activations', JOINER_ENCODER_PROJ, 4 * lanes * frames * padded(width));
      return { dispatches: [linear({ x, y, step })], output: { name: JOINER_ENCODER_PROJ, buffer: y, width } };
    },
  };
}
