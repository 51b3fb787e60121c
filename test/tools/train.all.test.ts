import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { readModelFiles } from '../../tools/files.ts';
import { wakeWordsFolder } from '../support/fixtures.ts';
import { refused, rill } from '../support/rill.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sample = (name: string) => join(wakeWordsFolder, 'samples', `${name}.wav`);

describe('rill train', () => {
  let folder: string;
  const at = (...names: string[]) => join(folder, ...names);
  const bytes = (...names: string[]) => readFile(at(...names));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rill-train-'));
    await writeFile(at('two.csv'), `${sample('alexa')},alexa\n${sample('amelia')},amelia\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const scratch = ['--config', '1x8', '--adapter', 'software', '--batch-size', '1', '--seed', '3'];
  async function trained(...args: string[]): Promise<string> {
    const { status, stderr } = await rill(['train', ...args]);
    expect(status, stderr).toBe(0);
    return stderr;
  }

  it('writes a model from scratch, checkpoints and a curve, and goes on to the byte', async () => {
    const args = [at('two.csv'), ...scratch, '--max-steps', '3', '--save-steps', '1', '--keep-last-k', '2'];
    const said = await trained(...args, '--eval-data', at('two.csv'), '--eval-steps', '2', '--out', at('whole'));
    expect(said).toContain('training data: 2 recordings, 0:04');
    expect(said).toMatch(/validation at step 2: loss [\d.]+ a frame, word error rate [\d.]+ %, the best so far/);
    expect((await readdir(at('whole'))).sort()).toEqual(
      ['best', 'checkpoint-2', 'checkpoint-3', 'config.json', 'loss.svg', 'model.safetensors', 'tokens.txt'].sort(),
    );
    expect(await readFile(at('whole', 'loss.svg'), 'utf8')).toContain('validation');
    const { tokens, sizes } = openModel(await readModelFiles(at('whole')));
    expect(tokens?.symbols).toEqual(['<blk>', 'a', 'e', 'i', 'l', 'm', 'x', '▁', '<unk>']);
    expect(sizes).toMatchObject({ hasCtc: true, encoder: { numEncoderLayers: 1, dModel: 8 } });

    await trained(at('two.csv'), '--resume', at('whole', 'checkpoint-2'), '--out', at('resumed'));
    for (const name of ['model.safetensors', 'optimizer.safetensors']) {
      const [got, expected] = await Promise.all(['resumed', 'whole'].map((run) => bytes(run, 'checkpoint-3', name)));
      expect(Buffer.compare(got, expected), name).toBe(0);
    }
    // The curve begins where the training began.
    expect(await bytes('resumed', 'loss.svg')).toEqual(await bytes('whole', 'loss.svg'));
  });

  it('saves on Ctrl-C, ends with 130, and goes on from there', async () => {
    const args = ['train', at('two.csv'), ...scratch, '--max-steps', '1000', '--out', at('stopped')];
    const child = spawn(process.execPath, ['--import', 'tsx', 'tools/rill.ts', ...args], { cwd: root });
    let said = '';
    child.stderr.on('data', (data: Buffer) => {
      said += data.toString();
      // The first line of steps comes ten seconds after the start.
      if (said.includes('step ') && !said.includes('Ctrl-C')) {
        child.kill('SIGINT');
      }
    });
    const [status] = (await once(child, 'close')) as [number];
    expect(status, said).toBe(130);
    const checkpoint = /go on with --resume (\S+)/.exec(said)?.[1] ?? '';
    const step = Number(/checkpoint-(\d+)$/.exec(checkpoint)?.[1]);
    expect(step, said).toBeGreaterThanOrEqual(1);
    expect((await readdir(at('stopped'))).sort()).toEqual([`checkpoint-${step}`, 'loss.svg']);

    const more = ['--max-steps', String(step + 1), '--save-steps', '1', '--out', at('stopped')];
    await trained(at('two.csv'), '--resume', checkpoint, ...more);
    expect(await readdir(at('stopped'))).toContain(`checkpoint-${step + 1}`);
  });

  it('compares experiments in one table', async () => {
    const experiments = [
      { name: 'plain', config: '1x8', optimizer: 'adam', maxSteps: 1 },
      { name: 'icefall', config: '1x8', maxSteps: 1 },
    ];
    await writeFile(at('experiments.json'), JSON.stringify({ experiments }));
    const args = ['train', at('two.csv'), '--experiments', at('experiments.json'), '--adapter', 'software'];
    const { status, stdout, stderr } = await rill([...args, '--eval-data', at('two.csv'), '--out', at('compared')]);
    expect(status, stderr).toBe(0);
    const [heading, ...rows] = stdout.trim().split('\n');
    expect(heading).toMatch(/^experiment +parameters +steps +loss a frame +validation +word error rate +time$/);
    expect(rows.map((row) => row.split(/ {2,}/)[0])).toEqual(['plain', 'icefall']);
    // Only with scales are the weights of one seed decayed, and the scales saved.
    const state = async (name: string) =>
      JSON.parse(await readFile(at('compared', name, 'best', 'trainer_state.json'), 'utf8')) as {
        options: { optimizer?: string; modelWarmupSteps?: number };
      };
    expect((await state('plain')).options).toEqual(
      expect.objectContaining({ optimizer: 'adam', layerDropout: 0.075, dropout: 0.1 }),
    );
    expect((await state('icefall')).options).toMatchObject({ optimizer: 'eve', modelWarmupSteps: 3000 });
    const saved = await Promise.all(
      ['plain', 'icefall'].map((name) => bytes('compared', name, 'best', 'optimizer.safetensors')),
    );
    expect(saved.map((file) => file.includes('scale.'))).toEqual([false, true]);
  });

  it('names what it cannot take, and writes nothing', async () => {
    const out = ['--out', at('none')];
    expect(await refused('train', at('absent.csv'), ...scratch, ...out)).toContain('absent.csv');
    expect(await refused('train', at('two.csv'), ...scratch)).toContain('no --out');
    expect(await refused('train', at('two.csv'), ...out)).toContain('0 of --model, --config, --resume, --experiments');
    expect(await refused('train', at('two.csv'), ...scratch, ...out, '--optimizer', 'sgd')).toContain('adam');
    expect(await refused('train', at('two.csv'), ...scratch, ...out, '--lr', 'fast')).toContain('--lr fast');
    expect(await refused('train', at('two.csv'), '--config', 'large', ...out)).toContain('6x256');
    expect(await refused('train', at('two.csv'), '--resume', wakeWordsFolder, ...out)).toContain('no checkpoint');
    expect(await refused('train', at('two.csv'), '--model', at('absent'), ...out)).toContain('absent');
    await writeFile(at('digits.csv'), `${sample('alexa')},1234\n`);
    const unspellable = await refused('train', at('digits.csv'), '--model', wakeWordsFolder, ...out);
    expect(unspellable).toContain('1234');
    expect(await readdir(folder)).not.toContain('none');
  });
});
