import { RillError } from '../errors.ts';
import { elementCount, shapeText, type TensorInfo, type TensorSource } from '../model/tensors.ts';

/** What a network can be wrapped in: DDP, torch.compile, Lightning. */
const WRAPPERS = ['module.', '_orig_mod.', 'model.'];

/** Prefixes that a network can stand behind, the innermost last: wrappers, then a lone encoder without `encoder.`. */
function withFullNames(source: TensorSource): Map<string, string> {
  const names = [...source.tensors.keys()];
  let prefix = '';
  const isBehind = (wrapper: string) => names.length > 0 && names.every((name) => name.startsWith(prefix + wrapper));
  for (let wrapper = WRAPPERS.find(isBehind); wrapper; wrapper = WRAPPERS.find(isBehind)) {
    prefix += wrapper;
  }
  const bareEncoder = names.includes(`${prefix}encoder_embed.conv.0.weight`);
  return new Map(names.map((name) => [(bareEncoder ? 'encoder.' : '') + name.slice(prefix.length), name]));
}

/** The learned log-scale of a tensor; an embedding's is called `scale` alone. */
const scaleNames = (name: string) => [
  `${name}_scale`,
  ...(name.endsWith('embedding.weight') ? [name.replace(/weight$/, 'scale')] : []),
];

/**
 * A checkpoint's tensors under icefall's full names, with the learned log-scales folded in: what is read as
 * `weight` is `weight * exp(weight_scale)` (icefall, scaling.py). The scales themselves disappear from the list.
 */
export function foldScales(source: TensorSource): TensorSource {
  const stored = withFullNames(source);
  const tensors = new Map<string, TensorInfo>();
  const scales = new Map<string, string>();
  for (const [name, storedName] of stored) {
    const info = source.tensors.get(storedName);
    if (info) {
      tensors.set(name, info);
    }
  }
  for (const name of stored.keys()) {
    const scale = scaleNames(name).find((candidate) => stored.has(candidate));
    if (scale) {
      scales.set(name, scale);
      tensors.delete(scale);
    }
  }
  const readStored = (name: string) => source.read(stored.get(name) ?? name);
  return {
    tensors,
    async read(name) {
      const values = await readStored(name);
      const scaleName = scales.get(name);
      if (scaleName) {
        const shape = source.tensors.get(stored.get(scaleName) ?? '')?.shape ?? [];
        if (elementCount(shape) !== 1) {
          throw new RillError('bad-checkpoint', {
            got: `${scaleName} of shape ${shapeText(shape)}`,
            expected: 'one number, the logarithm of a scale',
            remedy: 'Check that this checkpoint was trained with icefall’s scaled modules.',
          });
        }
        const factor = Math.exp((await readStored(scaleName))[0]);
        values.forEach((value, i) => (values[i] = value * factor));
      }
      return values;
    },
  };
}

/** Takes the BasicNorm eps that `source` lacks from `donor`, the checkpoint it was once converted from. */
export function withNormEps(source: TensorSource, donor: TensorSource): TensorSource {
  const tensors = new Map(source.tensors);
  for (const [name, info] of donor.tensors) {
    if (name.endsWith('.eps') && !tensors.has(name)) {
      tensors.set(name, info);
    }
  }
  return { tensors, read: (name) => (source.tensors.has(name) ? source : donor).read(name) };
}
