import { RillError } from '../errors.ts';

/**
 * A value that is passed over: a pickle may hold anything beside the weights. Nothing makes it and nothing is kept in
 * it; it only says what it is, for the error of whoever needs it.
 */
export class Opaque {
  /** `a value of "datetime.datetime" (it was not executed)`. */
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}

/**
 * What a pickle can hold here. Python's tuples, lists and sets become arrays, dicts become Maps; whatever a
 * constructor of the allow-list makes comes from the caller, and all else is {@link Opaque}.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly PickleValue[]
  | Map<PickleValue, PickleValue>
  | Constructor
  | Opaque
  | object;

/** A harmless stand-in for a Python callable: makes a value from its arguments. */
export type Constructor = (args: readonly PickleValue[]) => PickleValue;

export interface PickleOptions {
  /** The only callables that are called; undefined for any other, whose values become {@link Opaque}. */
  findConstructor: (module: string, name: string) => Constructor | undefined;
  /** Takes what an object holds beyond its constructor's arguments; by default it is dropped. */
  build?: (object: PickleValue, state: PickleValue) => void;
  /** Turns a persistent id (in PyTorch files: a storage) into a value. */
  persistentLoad: (id: PickleValue) => PickleValue;
  /** Whether the bytes are only as much of the file as a pickle may have. */
  isCut?: boolean;
}

const STOP = 0x2e;
/** MARK, empty tuples, lists, dicts and sets, tuples of one to three: what takes far more memory than its byte. */
const CONTAINERS: ReadonlySet<number> = new Set([0x28, 0x29, 0x5d, 0x7d, 0x8f, 0x85, 0x86, 0x87]);
const MAX_CONTAINERS = 500_000;
/** Classes and functions that are not on the list; a training checkpoint with all its options names some dozens. */
const MAX_OPAQUE_NAMES = 10_000;
const SHOWN_NAME = 100;

function bad(got: string, expected: string): RillError {
  return new RillError('bad-checkpoint', {
    got,
    expected,
    remedy: 'Save the state dict alone, torch.save(model.state_dict(), "model.pt"), and convert that.',
  });
}

/** Decodes the pickle's bytes in order; every read is checked against the end. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #isCut: boolean;
  position: number;

  constructor(bytes: Uint8Array, position: number, isCut: boolean) {
    this.#bytes = bytes;
    this.#isCut = isCut;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
  }

  /** Moves past `length` bytes and returns where they start. */
  #take(length: number): number {
    const start = this.position;
    if (!(length >= 0 && length <= this.#bytes.length - start)) {
      if (this.#isCut) {
        throw bad('pickles that go on', `at most ${this.#bytes.length} bytes of them`);
      }
      throw bad(
        `a pickle that ends at byte ${this.#bytes.length}, inside an item of ${length} bytes at ${start}`,
        'a whole file',
      );
    }
    this.position += length;
    return start;
  }

  u8 = () => this.#view.getUint8(this.#take(1));
  u16 = () => this.#view.getUint16(this.#take(2), true);
  i32 = () => this.#view.getInt32(this.#take(4), true);
  u32 = () => this.#view.getUint32(this.#take(4), true);
  u64 = () => Number(this.#view.getBigUint64(this.#take(8), true));
  f64 = () => this.#view.getFloat64(this.#take(8), false);

  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    return new TextDecoder().decode(this.bytes(length));
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    const text = this.text(end < 0 ? Infinity : end - this.position);
    this.position++;
    return text;
  }

  /** A little-endian two's complement integer, exact up to 2^53. */
  integer(length: number): number {
    const bytes = this.bytes(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) {
      value = (value << 8n) | BigInt(bytes[i]);
    }
    return Number(BigInt.asIntN(8 * length, value));
  }
}

/**
 * Runs a pickle (protocols 0 to 5) without ever executing anything: the opcodes build plain values, only the
 * constructors of the allow-list can be called, and what any other callable would make is {@link Opaque}.
 *
 * @param position where the pickle starts
 * @returns the value and where the pickle ends
 * @throws RillError `bad-checkpoint` for a pickle that is damaged, or larger than a checkpoint's.
 */
export function unpickle(
  bytes: Uint8Array,
  { findConstructor, persistentLoad, build, isCut = false }: PickleOptions,
  position = 0,
): { value: PickleValue; end: number } {
  const reader = new Reader(bytes, position, isCut);
  const memo = new Map<number, PickleValue>();
  let stack: PickleValue[] = [];
  const outer: PickleValue[][] = [];

  const malformed = (what: string) =>
    bad(`a pickle with ${what} before byte ${reader.position}`, 'a pickle that PyTorch wrote');
  const pop = (): PickleValue => {
    const value = stack.pop();
    if (value === undefined) {
      throw malformed('an empty stack');
    }
    return value;
  };
  const top = (): PickleValue => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const popMark = (): PickleValue[] => {
    const items = stack;
    const below = outer.pop();
    if (!below) {
      throw malformed('no mark');
    }
    stack = below;
    return items;
  };
  const recall = (index: number): PickleValue => {
    const value = memo.get(index);
    if (value === undefined) {
      throw malformed(`an unknown memo ${index}`);
    }
    return value;
  };
  // One value for each name, however often it is called: what is passed over takes no memory.
  const opaque = new Map<string, Opaque>();
  const passOver = (name: string): Opaque => {
    const known = opaque.get(name);
    if (known) {
      return known;
    }
    if (opaque.size === MAX_OPAQUE_NAMES) {
      throw bad(`a pickle that names more than ${MAX_OPAQUE_NAMES} classes and functions`, 'a state dict');
    }
    const made = new Opaque(`a value of ${JSON.stringify(name.slice(0, SHOWN_NAME))} (it was not executed)`);
    opaque.set(name, made);
    return made;
  };
  const find = (module: PickleValue, name: PickleValue): Constructor | Opaque => {
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw malformed('a callable that is not named');
    }
    return findConstructor(module, name) ?? passOver(`${module}.${name}`);
  };
  const call = (callable: PickleValue, args: PickleValue): PickleValue => {
    if (callable instanceof Opaque) {
      return callable;
    }
    if (typeof callable !== 'function' || !Array.isArray(args)) {
      throw malformed('a call of something that is not callable');
    }
    return (callable as Constructor)(args as PickleValue[]);
  };
  const append = (items: readonly PickleValue[]) => {
    const list = top();
    if (list instanceof Opaque) {
      return;
    }
    if (!Array.isArray(list)) {
      throw malformed('items for something that is not a list');
    }
    for (const item of items) {
      list.push(item);
    }
  };
  const setItems = (items: readonly PickleValue[]) => {
    const dict = top();
    if (dict instanceof Opaque) {
      return;
    }
    if (!(dict instanceof Map) || items.length % 2 !== 0) {
      throw malformed('items for something that is not a dict');
    }
    for (let i = 0; i < items.length; i += 2) {
      dict.set(items[i], items[i + 1]);
    }
  };

  let containers = 0;
  for (;;) {
    const opcode = reader.u8();
    if (CONTAINERS.has(opcode) && ++containers > MAX_CONTAINERS) {
      throw bad(`a pickle of more than ${MAX_CONTAINERS} lists, tuples and dicts`, 'a state dict');
    }
    switch (opcode) {
      case STOP:
        return { value: pop(), end: reader.position };
      case 0x80: // PROTO
        reader.u8();
        break;
      case 0x95: // FRAME
        reader.u64();
        break;
      case 0x28: // MARK
        outer.push(stack);
        stack = [];
        break;
      case 0x30: // POP
        pop();
        break;
      case 0x31: // POP_MARK
        popMark();
        break;
      case 0x32: // DUP
        stack.push(top());
        break;

      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x4b: // BININT1
        stack.push(reader.u8());
        break;
      case 0x4d: // BININT2
        stack.push(reader.u16());
        break;
      case 0x4a: // BININT
        stack.push(reader.i32());
        break;
      case 0x8a: // LONG1
        stack.push(reader.integer(reader.u8()));
        break;
      case 0x8b: {
        // LONG4; far more digits than any size or seed has would only cost time
        const length = reader.i32();
        if (length > 256) {
          throw malformed(`an integer of ${length} bytes`);
        }
        stack.push(reader.integer(length));
        break;
      }
      case 0x47: // BINFLOAT
        stack.push(reader.f64());
        break;
      case 0x49: {
        // INT
        const text = reader.line();
        stack.push(text === '01' ? true : text === '00' ? false : Number(text));
        break;
      }
      case 0x4c: // LONG
        stack.push(Number(reader.line().replace(/L$/, '')));
        break;
      case 0x46: // FLOAT
        stack.push(Number(reader.line()));
        break;

      case 0x58: // BINUNICODE
        stack.push(reader.text(reader.u32()));
        break;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(reader.text(reader.u8()));
        break;
      case 0x8d: // BINUNICODE8
        stack.push(reader.text(reader.u64()));
        break;
      case 0x56: // UNICODE
        stack.push(reader.line());
        break;
      case 0x53: // STRING
        stack.push(reader.line().slice(1, -1));
        break;
      case 0x54: // BINSTRING
        stack.push(reader.text(reader.i32()));
        break;
      case 0x55: // SHORT_BINSTRING
        stack.push(reader.text(reader.u8()));
        break;
      case 0x42: // BINBYTES
        stack.push(reader.bytes(reader.u32()));
        break;
      case 0x43: // SHORT_BINBYTES
        stack.push(reader.bytes(reader.u8()));
        break;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        stack.push(reader.bytes(reader.u64()));
        break;

      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET
        stack.push([]);
        break;
      case 0x85: // TUPLE1
        stack.push([pop()]);
        break;
      case 0x86: // TUPLE2
        stack.push([pop(), pop()].reverse());
        break;
      case 0x87: // TUPLE3
        stack.push([pop(), pop(), pop()].reverse());
        break;
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
      case 0x6c: {
        // LIST
        const items = popMark();
        stack.push(items);
        break;
      }
      case 0x61: // APPEND
        append([pop()]);
        break;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        append(popMark());
        break;
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        break;
      case 0x64: {
        // DICT
        const items = popMark();
        stack.push(new Map());
        setItems(items);
        break;
      }
      case 0x73: // SETITEM
        setItems([pop(), pop()].reverse());
        break;
      case 0x75: // SETITEMS
        setItems(popMark());
        break;

      case 0x71: // BINPUT
        memo.set(reader.u8(), top());
        break;
      case 0x72: // LONG_BINPUT
        memo.set(reader.u32(), top());
        break;
      case 0x70: // PUT
        memo.set(Number(reader.line()), top());
        break;
      case 0x94: // MEMOIZE
        memo.set(memo.size, top());
        break;
      case 0x68: // BINGET
        stack.push(recall(reader.u8()));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(recall(reader.u32()));
        break;
      case 0x67: // GET
        stack.push(recall(Number(reader.line())));
        break;

      case 0x63: {
        // GLOBAL
        const module = reader.line();
        stack.push(find(module, reader.line()));
        break;
      }
      case 0x93: {
        // STACK_GLOBAL
        const name = pop();
        stack.push(find(pop(), name));
        break;
      }
      case 0x69: {
        // INST
        const module = reader.line();
        const callable = find(module, reader.line());
        const args = popMark();
        stack.push(call(callable, args));
        break;
      }
      case 0x6f: {
        // OBJ
        const [callable = null, ...args] = popMark();
        stack.push(call(callable, args));
        break;
      }
      case 0x82: // EXT1: a class by a number that only its own program knows
        stack.push(passOver(`extension ${reader.u8()}`));
        break;
      case 0x83: // EXT2
        stack.push(passOver(`extension ${reader.u16()}`));
        break;
      case 0x84: // EXT4
        stack.push(passOver(`extension ${reader.u32()}`));
        break;
      case 0x97: // NEXT_BUFFER: bytes that stand outside the pickle
        stack.push(passOver('pickle.PickleBuffer'));
        break;
      case 0x98: // READONLY_BUFFER
        break;
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const args = pop();
        stack.push(call(pop(), args));
        break;
      }
      case 0x92: {
        // NEWOBJ_EX: its keyword arguments are dropped
        pop();
        const args = pop();
        stack.push(call(pop(), args));
        break;
      }
      case 0x62: {
        // BUILD
        const state = pop();
        build?.(top(), state);
        break;
      }
      case 0x51: // BINPERSID
        stack.push(persistentLoad(pop()));
        break;
      case 0x50: // PERSID
        stack.push(persistentLoad(reader.line()));
        break;
      default:
        throw malformed(`opcode 0x${opcode.toString(16)}`);
    }
  }
}
