import { badSnapshot, type SnapshotReader, type SnapshotWriter } from './bytes.ts';

/**
 * One kind of value in a snapshot: how it is written, and how it is read and checked. What is read may be anything: whatever is
 * out of its range is refused, and nothing is made that is much larger than the bytes it is made of.
 */
export interface Field<Value> {
  write(to: SnapshotWriter, value: Value): void;
  /** @throws RillError `bad-snapshot`. */
  read(from: SnapshotReader): Value;
}

/** The values that a field is for. */
export type ValueOf<Any> = Any extends Field<infer Value> ? Value : never;

/** Counts of samples and frames stay below: at 16 kHz two years. */
const MOST = 2 ** 40;

function numbers(expected: string, isAllowed: (value: number) => boolean): Field<number> {
  return {
    write(to, value) {
      to.number(value);
    },
    read(from) {
      const value = from.number();
      if (!isAllowed(value)) {
        throw badSnapshot(`${value} in a snapshot`, expected);
      }
      return value;
    },
  };
}

/** A whole number, from 0 on unless told otherwise. */
export const whole = ({ least = 0, most = MOST } = {}): Field<number> =>
  numbers(
    `a whole number from ${least} to ${most}`,
    (value) => Number.isInteger(value) && value >= least && value <= most,
  );

/** A finite number. */
export const real: Field<number> = numbers('a finite number', Number.isFinite);

/** The logarithm of a probability, or of a score: a finite number, or -Infinity. */
export const logarithm: Field<number> = numbers('a finite number or -Infinity', (value) => value < Infinity);

export const flag: Field<boolean> = {
  write(to, value) {
    to.byte(value ? 1 : 0);
  },
  read(from) {
    const value = from.byte();
    if (value > 1) {
      throw badSnapshot(`${value} in a snapshot`, '0 or 1');
    }
    return value === 1;
  },
};

/** Elements that cannot be more than the bytes left have room for. */
function readCount(from: SnapshotReader, bytesEach: number): number {
  const count = from.number();
  if (!(Number.isInteger(count) && count >= 0 && count * bytesEach <= from.left)) {
    throw badSnapshot(
      `a count of ${count} with ${from.left} bytes left in a snapshot`,
      'no more than there is room for',
    );
  }
  return count;
}

/** Any bytes. */
export const blob: Field<Uint8Array<ArrayBuffer>> = {
  write(to, value) {
    to.number(value.length);
    to.bytes(value);
  },
  read: (from) => Uint8Array.from(from.bytes(readCount(from, 1))),
};

export const text: Field<string> = {
  write(to, value) {
    blob.write(to, new TextEncoder().encode(value));
  },
  read(from) {
    const bytes = blob.read(from);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw badSnapshot(`a text of ${bytes.length} bytes in a snapshot that is not UTF-8`, 'UTF-8');
    }
  },
};

/** Finite float32 numbers. @param size how many there have to be; any number by default */
export const floats = (size?: number): Field<Float32Array<ArrayBuffer>> => ({
  write(to, value) {
    to.number(value.length);
    to.floats(value);
  },
  read(from) {
    const values = from.floats(readCount(from, 4));
    if (size !== undefined && values.length !== size) {
      throw badSnapshot(`an array of ${values.length} numbers in a snapshot`, `${size}`);
    }
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) {
      throw badSnapshot(`${values[at]} at element ${at} of an array in a snapshot`, 'finite numbers');
    }
    return values;
  },
});

/** What is never there: takes no room. */
export const absent: Field<undefined> = {
  write: () => undefined,
  read: () => undefined,
};

/** What may be absent. */
export const optional = <Value>(field: Field<Value>): Field<Value | undefined> => ({
  write(to, value) {
    flag.write(to, value !== undefined);
    if (value !== undefined) {
      field.write(to, value);
    }
  },
  read: (from) => (flag.read(from) ? field.read(from) : undefined),
});

/** Any number of values. @param size how many there have to be; any number by default */
export const list = <Value>(field: Field<Value>, size?: number): Field<Value[]> => ({
  write(to, values) {
    to.number(values.length);
    values.forEach((value) => {
      field.write(to, value);
    });
  },
  read(from) {
    const count = readCount(from, 1);
    if (size !== undefined && count !== size) {
      throw badSnapshot(`${count} values in a snapshot`, `${size}`);
    }
    return Array.from({ length: count }, () => field.read(from));
  },
});

/** Named values, written in the order in which their fields are named. */
export function record<Values extends object>(fields: {
  readonly [Name in keyof Values]: Field<Values[Name]>;
}): Field<Values> {
  // The names that an object has are not part of its type.
  const names = Object.keys(fields) as (keyof Values)[];
  return {
    write(to, values) {
      names.forEach((name) => {
        fields[name].write(to, values[name]);
      });
    },
    read(from) {
      const values: Partial<Values> = {};
      names.forEach((name) => {
        values[name] = fields[name].read(from);
      });
      return values as Values;
    },
  };
}
