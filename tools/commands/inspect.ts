import { countParameters, openCheckpoint } from '../../src/checkpoint/convert.ts';
import { writeConfig } from '../../src/model/config.ts';
import { openModel } from '../../src/model/model.ts';
import { shapeText, type TensorInfo } from '../../src/model/tensors.ts';
import { isFolder, readModelFiles, withFile } from '../files.ts';
import { print, table } from '../terminal.ts';
import { parse, usageError, type Command } from './arguments.ts';

const usage = 'inspect <checkpoint or model dir> [--norm-eps-from CHECKPOINT] [--json]';

interface Inspection {
  tensors: ReadonlyMap<string, TensorInfo>;
  parameters: Record<string, number>;
  config: unknown;
  ignored: readonly string[];
}

async function inspectPath(path: string, donor: string | undefined): Promise<Inspection> {
  if (await isFolder(path)) {
    const { sizes, config, weights } = openModel(await readModelFiles(path));
    return {
      tensors: weights.tensors,
      parameters: countParameters(sizes),
      config: JSON.parse(writeConfig(config, sizes)),
      ignored: [],
    };
  }
  const run = (normEpsFrom?: Parameters<typeof openCheckpoint>[0]) =>
    withFile(path, async (source): Promise<Inspection> => {
      const { stored, sizes, config, ignored } = await openCheckpoint(source, { normEpsFrom });
      return {
        tensors: stored.tensors,
        parameters: countParameters(sizes),
        config: JSON.parse(writeConfig(config, sizes)),
        ignored,
      };
    });
  return donor ? withFile(donor, run) : run();
}

export const inspect: Command = {
  usage,
  summary: 'list tensors, parameter counts and the inferred configuration',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      json: { type: 'boolean' },
      'norm-eps-from': { type: 'string' },
    });
    if (positionals.length !== 1) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const { tensors, parameters, config, ignored } = await inspectPath(positionals[0], values['norm-eps-from']);
    if (values.json) {
      const list = [...tensors].map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
      print(JSON.stringify({ tensors: list, parameters, config, ignored }));
      return;
    }
    print(table([...tensors].map(([name, { shape, dtype }]) => [name, shapeText(shape), dtype])));
    print('');
    print(table(Object.entries(parameters).map(([part, count]) => [`${part} parameters`, count.toLocaleString('en')])));
    print(`\nconfiguration ${JSON.stringify(config, null, 2)}`);
    print(`\nignored: ${ignored.length ? ignored.join(', ') : 'nothing'}`);
  },
};
