import { shown } from '../errors.ts';
import { elementCount, shapeText, type TensorInfo, type TensorSource } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';

/** Parts of names that wrappers add, wherever they stand: DDP, FSDP, torch.compile, checkpointed activations, Lightning. */
const WRAPPERS: ReadonlySet<string> = new Set([
  'module',
  'model',
  'net',
  '_orig_mod',
  '_forward_module',
  '_fsdp_wrapped_module',
  '_checkpoint_wrapped_module',
]);

/** The weight that every encoder has once, by its name inside it. */
const FIRST_WEIGHT = 'encoder_embed.conv.0.weight';

const withoutWrappers = (name: string) =>
  name
    .split('.')
    .filter((part) => !WRAPPERS.has(part))
    .join('.');

/** The first weight of each encoder among tensors, by its stored name. */
export function encodersIn(names: Iterable<string>): string[] {
  return [...names].filter((name) => `.${withoutWrappers(name)}`.endsWith(`.${FIRST_WEIGHT}`));
}

const commonLength = (a: string, b: string) => {
  let length = 0;
  while (length < a.length && a[length] === b[length]) {
    length++;
  }
  return length;
};

/** A network's tensors under icefall's names, each with its stored name, and the stored names of all others. */
interface Network {
  stored: ReadonlyMap<string, string>;
  outside: readonly string[];
}

/** Finds the network by its encoder, under whatever prefix: its other parts are what stands beside the encoder. */
function findNetwork(names: readonly string[]): Network {
  const [encoder = FIRST_WEIGHT, second] = encodersIn(names);
  if (second !== undefined) {
    throw badCheckpoint(
      `two encoders: ${shown(encoder)} and ${shown(second)}`,
      'one network',
      'Save the state dict of the one to convert, torch.save(model.state_dict(), "model.pt").',
    );
  }
  const inEncoder = withoutWrappers(encoder).slice(0, -FIRST_WEIGHT.length);
  const beside = inEncoder.replace(/[^.]*\.$/, '');
  const hasEncoder = names.includes(encoder);
  const stored = new Map<string, string>();
  const outside: string[] = [];
  for (const name of names) {
    const plain = withoutWrappers(name);
    const isInside = hasEncoder && plain.startsWith(inEncoder);
    const full = isInside ? `encoder.${plain.slice(inEncoder.length)}` : plain.slice(beside.length);
    const rival = stored.get(full);
    if (!isInside && (!plain.startsWith(beside) || (hasEncoder && full.startsWith('encoder.')))) {
      outside.push(name);
    } else if (rival === undefined) {
      stored.set(full, name);
    } else {
      // Wrappers alone tell the two apart: the one that is wrapped as the encoder is belongs to it.
      const isNearer = commonLength(name, encoder) > commonLength(rival, encoder);
      stored.set(full, isNearer ? name : rival);
      outside.push(isNearer ? rival : name);
    }
  }
  return { stored, outside };
}

/** The learned log-scale of a tensor; an embedding's is called `scale` alone. */
const scaleNames = (name: string) => [
  `${name}_scale`,
  ...(name.endsWith('embedding.weight') ? [name.replace(/weight$/, 'scale')] : []),
];

/** A network's tensors, scales folded. */
export interface FoldedTensors extends TensorSource {
  /** The stored name of each tensor, and of the log-scale that it has. */
  readonly stored: ReadonlyMap<string, { weight: string; scale?: string }>;
  /** Stored names of tensors that are no part of the network. */
  readonly outside: readonly string[];
}

/**
 * A checkpoint's tensors under icefall's full names, with the learned log-scales folded in: what is read as
 * `weight` is `weight * exp(weight_scale)` (icefall, scaling.py). The scales themselves disappear from the list.
 *
 * @throws RillError `bad-checkpoint` for two encoders.
 */
export function foldScales(source: TensorSource): FoldedTensors {
  const { stored, outside } = findNetwork([...source.tensors.keys()]);
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
    outside,
    stored: new Map(
      Array.from(tensors.keys(), (name) => {
        const scale = stored.get(scales.get(name) ?? '');
        return [name, { weight: stored.get(name) ?? name, ...(scale !== undefined && { scale }) }];
      }),
    ),
    async read(name) {
      const values = await readStored(name);
      const scaleName = scales.get(name);
      if (scaleName) {
        const shape = source.tensors.get(stored.get(scaleName) ?? '')?.shape ?? [];
        if (elementCount(shape) !== 1) {
          throw badCheckpoint(
            `${scaleName} of shape ${shapeText(shape)}`,
            'one number, the logarithm of a scale',
            'Check that this checkpoint was trained with icefall’s scaled modules.',
          );
        }
        const factor = Math.exp((await readStored(scaleName))[0]);
        values.forEach((value, i) => (values[i] = value * factor));
      }
      return values;
    },
  };
}

/** Takes the BasicNorm eps that `source` lacks from `donor`, the checkpoint it was once converted from. */
export function withNormEps(source: FoldedTensors, donor: TensorSource): FoldedTensors {
  const tensors = new Map(source.tensors);
  for (const [name, info] of donor.tensors) {
    if (name.endsWith('.eps') && !tensors.has(name)) {
      tensors.set(name, info);
    }
  }
  return { ...source, tensors, read: (name) => (source.tensors.has(name) ? source : donor).read(name) };
}
