import { shown } from '../errors.ts';
import { elementCount, shapeText, type TensorInfo, type TensorSource } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import type { PickleValue } from './pickle.ts';
import { TensorRef, type StateDict, type TorchFile } from './torch.ts';

/** What the state of PyTorch's optimizer says for a network: what `Optimizer.load` goes on from, and its options. */
export interface OptimizerState {
  /** @internal `exp_avg.NAME` and `exp_avg_sq.NAME`, of a log-scale `exp_avg.scale.NAME` and so on; zeros of what has none yet. */
  tensors: TensorSource;
  /** Steps taken. */
  taken: number;
  /** `eve` where it is icefall's; Adam and AdamW are alike in a file. */
  optimizer?: 'eve';
  /** As they were, where the file has them. */
  learningRate?: number;
  /** As they were. */
  betas?: readonly [number, number];
  /** As it was. */
  eps?: number;
  /** As it was. */
  weightDecay?: number;
}

/** A parameter as a network has it, by its stored name, in the model's order. */
export interface StoredParameter {
  stored: string;
  shape: readonly number[];
  /** What it is called by the optimizer: icefall's name, or `scale.` and the name; undefined for one that is not trained. */
  name: string | undefined;
}

const MOMENTS = ['exp_avg', 'exp_avg_sq'] as const;
const REMEDY =
  'Train on from the weights alone, or name a checkpoint of Adam, AdamW or icefall’s Eve over model.parameters().';

const unfit = (got: string, expected: string) => badCheckpoint(got, expected, REMEDY);

/** A number of a dict, whether Python's or a tensor's is told by the file; undefined for neither. */
export const numberIn = (dict: PickleValue | undefined, key: string): number | undefined => {
  const value = dict instanceof Map ? dict.get(key) : undefined;
  return typeof value === 'number' ? value : undefined;
};

/**
 * Reads the state of an optimizer, which PyTorch keeps by the numbers of parameters: they are counted in the model's order.
 *
 * @param dict `optimizer.state_dict()`
 * @throws RillError `bad-checkpoint` for parameters that do not fit, or another optimizer's state.
 */
export async function readOptimizerState(
  { sourceOf }: TorchFile,
  dict: PickleValue,
  parameters: readonly StoredParameter[],
): Promise<OptimizerState> {
  const { state, groups } = partsOf(dict);
  const ids = groups.flatMap((group) => idsOf(group));
  if (ids.length !== parameters.length) {
    throw unfit(`an optimizer of ${ids.length} parameters`, `the ${parameters.length} of the model`);
  }
  const refs = new Map<string, TensorRef>();
  const infos = new Map<string, TensorInfo>();
  const steps = new Map<string, PickleValue>();
  parameters.forEach(({ stored, shape, name }, i) => {
    const own = state.get(ids[i]);
    const known = isDict(own) ? own : undefined;
    if (known) {
      steps.set(stored, known.get('step') ?? null);
    }
    for (const moment of MOMENTS) {
      const value = known?.get(moment);
      if (own !== undefined) {
        checkMoment(value, `${moment} of ${stored}`, shape);
      }
      if (name !== undefined) {
        infos.set(`${moment}.${name}`, { dtype: 'F32', shape });
        if (value instanceof TensorRef) {
          refs.set(`${moment}.${name}`, value);
        }
      }
    }
  });
  const source = sourceOf(refs);
  return {
    taken: await stepsTaken(sourceOf, steps),
    tensors: {
      tensors: infos,
      read: (name) =>
        refs.has(name)
          ? source.read(name)
          : Promise.resolve(new Float32Array(elementCount(infos.get(name)?.shape ?? []))),
    },
    ...optionsOf(groups[0]),
  };
}

type Dict = ReadonlyMap<PickleValue, PickleValue>;

const isDict = (value: PickleValue | undefined): value is Map<PickleValue, PickleValue> => value instanceof Map;

/** The two parts of an optimizer's state dict. */
function partsOf(dict: PickleValue): { state: Dict; groups: readonly Dict[] } {
  const [state, groups] = isDict(dict) ? [dict.get('state'), dict.get('param_groups')] : [];
  if (!isDict(state) || !Array.isArray(groups) || groups.length === 0 || !groups.every(isDict)) {
    throw unfit('an optimizer that is no dict of state and param_groups', 'optimizer.state_dict()');
  }
  if (groups.some((group) => group.get('amsgrad') === true)) {
    throw unfit('an optimizer with amsgrad', 'one without');
  }
  return { state, groups };
}

function idsOf(group: Dict): number[] {
  const ids = group.get('params');
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'number')) {
    throw unfit(`a group of parameters ${shown(ids)}`, 'a list of their numbers');
  }
  return ids;
}

function checkMoment(value: PickleValue | undefined, what: string, shape: readonly number[]): void {
  const fits = value instanceof TensorRef && elementCount(value.shape) === elementCount(shape);
  if (!fits) {
    throw unfit(
      value instanceof TensorRef ? `${what} of shape ${shapeText(value.shape)}` : `no ${what}`,
      `one of shape ${shapeText(shape)}, as the parameter has it`,
    );
  }
}

/** How many steps all parameters have taken: a number, or since PyTorch 1.12 a tensor. */
async function stepsTaken(
  sourceOf: (tensors: StateDict) => TensorSource,
  steps: ReadonlyMap<string, PickleValue>,
): Promise<number> {
  const refs = new Map([...steps].filter((step): step is [string, TensorRef] => step[1] instanceof TensorRef));
  const wrong = [...refs].find(([, { shape }]) => elementCount(shape) !== 1);
  if (wrong) {
    throw unfit(`a step of shape ${shapeText(wrong[1].shape)} of ${wrong[0]}`, 'one number');
  }
  const source = sourceOf(refs);
  let taken: number | undefined;
  for (const [name, step] of steps) {
    const own = step instanceof TensorRef ? (await source.read(name))[0] : step;
    if (!Number.isSafeInteger(own) || (own as number) < 0 || (taken !== undefined && own !== taken)) {
      throw unfit(
        `step ${shown(own)} of ${name}`,
        taken === undefined ? 'a number of steps' : `${taken}, as the others`,
      );
    }
    taken = own as number;
  }
  return taken ?? 0;
}

function optionsOf(group: Dict) {
  const betas = group.get('betas');
  const [beta1, beta2] = Array.isArray(betas) ? (betas as PickleValue[]) : [];
  return {
    ...(group.has('target_rms') && { optimizer: 'eve' as const }),
    learningRate: numberIn(group, 'lr'),
    eps: numberIn(group, 'eps'),
    weightDecay: numberIn(group, 'weight_decay'),
    ...(typeof beta1 === 'number' && typeof beta2 === 'number' && { betas: [beta1, beta2] as const }),
  };
}
