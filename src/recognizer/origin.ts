import type { Model } from '../model/model.ts';
import { expectedTensors } from '../model/sizes.ts';
import { badSnapshot, type SnapshotReader, type SnapshotWriter } from '../snapshot/bytes.ts';
import { fingerprint } from '../snapshot/fingerprint.ts';
import { list, record, text, whole } from '../snapshot/fields.ts';

/** What must be the same where a snapshot is made and where it is restored: fingerprints by name. */
export type Origin = ReadonlyMap<string, number>;

const ORIGIN = list(record({ name: text, print: whole({ most: 2 ** 32 - 1 }) }));

/** Numbers as text: JSON has none that are infinite. */
const jsonOf = (value: unknown) =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'number' ? String(each) : each)) ?? '';

/**
 * The origin of a listener's streams.
 *
 * @param settings by name, whatever decides about what is heard
 */
export async function originOf(model: Model, settings: Readonly<Record<string, unknown>>): Promise<Origin> {
  const named = Object.entries(settings).map(([name, value]) => [name, fingerprint([jsonOf(value)])] as const);
  return new Map([['model', await modelPrint(model)], ...named]);
}

/**
 * Tells models apart: by sizes, config, tokens, and how weights are stored; and, since two checkpoints of one training
 * differ in nothing else, by the values of those tensors that are no matrices, which are few.
 */
async function modelPrint({ sizes, config, tokens, weights }: Model): Promise<number> {
  const names = [...expectedTensors(sizes).keys()].filter((name) => weights.tensors.has(name)).sort();
  const stored = names.map((name) => [name, weights.tensors.get(name)]);
  const parts: (string | Uint8Array)[] = [jsonOf({ sizes, config, stored }), tokens?.toString() ?? ''];
  for (const name of names) {
    if ((weights.tensors.get(name)?.shape.length ?? 0) <= 1) {
      parts.push(new Uint8Array((await weights.read(name)).buffer));
    }
  }
  return fingerprint(parts);
}

export function writeOrigin(to: SnapshotWriter, origin: Origin): void {
  ORIGIN.write(
    to,
    [...origin].map(([name, print]) => ({ name, print })),
  );
}

/** @throws RillError `bad-snapshot` naming the first thing that is not the same here. */
export function requireOrigin(from: SnapshotReader, here: Origin): void {
  const there = new Map(ORIGIN.read(from).map(({ name, print }) => [name, print]));
  for (const [name, print] of here) {
    if (there.get(name) !== print) {
      const remedy =
        name === 'model'
          ? 'Restore it where the model is the one that it was made with.'
          : `Restore it where ${name} is what it was where it was made.`;
      throw badSnapshot(`a snapshot that was made with another ${name}`, `the same ${name} as here`, remedy);
    }
  }
}
