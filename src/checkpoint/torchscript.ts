import type { TensorSource } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import { unpickle, type Constructor, type PickleValue } from './pickle.ts';
import { MAX_PICKLE_BYTES, TensorRef, findConstructor, storageOf, storedTensors, type TorchArchive } from './torch.ts';

/** Modules nest a handful deep; a pickle can make an object contain itself. */
const MAX_DEPTH = 32;

/** Characters of a tensor's whole name: a pickle can name a long one many times over. */
const MAX_NAME = 512;

/** A module of a TorchScript archive: its class by name, and what it holds. No code of it is ever run. */
class ScriptObject {
  readonly className: string;
  readonly attributes = new Map<string, PickleValue>();

  constructor(className: string) {
    this.className = className;
  }
}

const HELPERS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['restore_type_tag', ([value]) => value],
  ['build_intlist', ([list]) => list],
  ['build_tensorlist', ([list]) => list],
  ['build_doublelist', ([list]) => list],
  ['build_boollist', ([list]) => list],
]);

function findScriptConstructor(module: string, name: string): Constructor | undefined {
  if (module === '__torch__' || module.startsWith('__torch__.')) {
    return () => new ScriptObject(`${module}.${name}`);
  }
  return module === 'torch.jit._pickle' ? HELPERS.get(name) : findConstructor(module, name);
}

function build(object: PickleValue, state: PickleValue): void {
  if (object instanceof ScriptObject && state instanceof Map) {
    for (const [name, value] of state) {
      if (typeof name === 'string') {
        object.attributes.set(name, value);
      }
    }
  }
}

/**
 * Reads a TorchScript archive (`torch.jit.save` of a traced or scripted model): the tensors of its modules by
 * their path. A BasicNorm whose eps became a constant of the code gets it back from there.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function readScriptModule(
  { names, read }: TorchArchive,
  pickle: Uint8Array,
  constantsPickle: Uint8Array,
  fileBytes: number,
): Promise<TensorSource> {
  const options = { findConstructor: findScriptConstructor, persistentLoad: storageOf, build };
  const { value: root } = unpickle(pickle, options);
  const { value: constants } = unpickle(constantsPickle, options);
  if (!(root instanceof ScriptObject)) {
    throw badCheckpoint('a TorchScript archive whose root is no module', 'a model that torch.jit.save wrote');
  }
  const tensors = new Map<string, TensorRef>();
  const norms = new Map<string, ScriptObject>();
  const seen = new Set<ScriptObject>();
  const walk = (object: ScriptObject, path: string, depth: number) => {
    // A module that stands in several places counts where it is met first.
    if (seen.has(object)) {
      return;
    }
    seen.add(object);
    if (depth > MAX_DEPTH) {
      throw badCheckpoint(`modules nested ${depth} deep`, `at most ${MAX_DEPTH}`);
    }
    for (const [name, value] of object.attributes) {
      if (path.length + name.length > MAX_NAME) {
        throw badCheckpoint(`a name of ${path.length + name.length} characters`, `at most ${MAX_NAME}`);
      }
      if (value instanceof TensorRef) {
        tensors.set(path + name, value);
      } else if (value instanceof ScriptObject) {
        walk(value, `${path}${name}.`, depth + 1);
      }
    }
    if (/Norm$/.test(object.className)) {
      norms.set(path, object);
    }
  };
  walk(root, '', 0);
  const stored = storedTensors(tensors, fileBytes, false, ({ key }) => read(`data/${key}`));
  const constantTensors = storedTensors(
    new Map(
      Array.isArray(constants)
        ? constants.flatMap((value, i) => (value instanceof TensorRef ? [[String(i), value]] : []))
        : [],
    ),
    fileBytes,
    false,
    ({ key }) => read(`constants/${key}`),
  );

  const eps = new Map<string, number>();
  const code = new NormCode(names, read, constantTensors);
  for (const [path, norm] of norms) {
    if (!tensors.has(`${path}eps`)) {
      const value = norm.attributes.get('eps_exp') ?? (await code.epsOf(norm.className));
      if (typeof value === 'number' && value > 0) {
        eps.set(`${path}eps`, Math.log(value));
      }
    }
  }
  return {
    tensors: new Map([
      ...stored.tensors,
      ...[...eps.keys()].map((name) => [name, { dtype: 'F32', shape: [] }] as const),
    ]),
    async read(name) {
      const logarithm = eps.get(name);
      return logarithm === undefined ? stored.read(name) : Float32Array.of(logarithm);
    },
  };
}

/** A number, or which constant of the archive it is. */
interface Eps {
  constant?: string;
  literal?: string;
}

/** What a traced BasicNorm adds to the mean square: `pow(add(…, CONSTANTS.c3), -0.5)` in its class's code. */
class NormCode {
  readonly #names: ReadonlySet<string>;
  readonly #read: (name: string) => Promise<Uint8Array>;
  readonly #constants: TensorSource;
  /** Of each file, by the name of the class. */
  readonly #files = new Map<string, ReadonlyMap<string, Eps>>();
  #bytes = 0;

  constructor(names: ReadonlySet<string>, read: (name: string) => Promise<Uint8Array>, constants: TensorSource) {
    this.#names = names;
    this.#read = read;
    this.#constants = constants;
  }

  async epsOf(className: string): Promise<number | undefined> {
    const parts = className.split('.');
    const file = `code/${parts.slice(0, -1).join('/')}.py`;
    if (!this.#names.has(file)) {
      return undefined;
    }
    const classes = this.#files.get(file) ?? (await this.#open(file));
    const { constant, literal } = classes.get(parts[parts.length - 1]) ?? {};
    if (constant !== undefined && this.#constants.tensors.has(constant)) {
      return (await this.#constants.read(constant))[0];
    }
    return literal === undefined ? undefined : Number(literal);
  }

  /** Reads a file once, and no more of all files than of a pickle: they may be compressed. */
  async #open(file: string): Promise<ReadonlyMap<string, Eps>> {
    const bytes = await this.#read(file);
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_PICKLE_BYTES) {
      throw badCheckpoint(`more than ${MAX_PICKLE_BYTES} bytes of TorchScript code`, 'the code of one network');
    }
    const [, ...pieces] = new TextDecoder().decode(bytes).split(/^class (\w+)\(/m);
    const classes = new Map<string, Eps>();
    for (let i = 0; i < pieces.length; i += 2) {
      const found = /torch\.add\(\w+, (?:CONSTANTS\.c(\d+)|([\d.e+-]+))\), -0\.5\)/.exec(pieces[i + 1]);
      if (found) {
        classes.set(pieces[i], { constant: found[1], literal: found[2] });
      }
    }
    this.#files.set(file, classes);
    return classes;
  }
}
