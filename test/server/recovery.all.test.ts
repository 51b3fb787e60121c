import { afterEach, expect, it } from 'vitest';
import type { Engine } from '../../src/encoder/engine.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { sample } from '../support/fixtures.ts';
import { Client, floatBytes, piecesOf, speakSherpa, startServer } from '../support/server.ts';

let running: Awaited<ReturnType<typeof startServer>> | undefined;
afterEach(async () => {
  await running?.server.close();
});

it('a call goes on when its device is lost, hears all that was said, and nothing twice', async () => {
  const opened: Engine[] = [];
  const server = (running = await startServer({
    openEngine: async (losses) => {
      // A GPU, another one, and then the CPU.
      const engine = losses < 2 ? new WebGpuEngine(await createNodeContext()) : new WasmEngine('after losses');
      opened.push(engine);
      return engine;
    },
  }));
  const address = server.http.replace('http', 'ws');
  const wave = await sample('stream');
  const saidIn = (results: Client['results']) =>
    results.flatMap(({ text, is_final }) => (is_final && text ? [text] : []));
  const expected = saidIn(await speakSherpa(address, wave));

  const client = new Client(address);
  await client.opened;
  const losses = [60, 200];
  let sent = 0;
  for (const piece of piecesOf(wave, 0.1)) {
    client.socket.send(floatBytes(piece));
    if (losses.includes(++sent)) {
      await client.until((texts) => texts.length > 2);
      gpuOf(opened[opened.length - 1]).device.destroy();
      await expect.poll(() => server.server.isReady, { timeout: 60_000, interval: 5 }).toBe(false);
      await expect.poll(() => server.server.isReady, { timeout: 120_000 }).toBe(true);
    }
  }
  client.socket.send('Done');
  await client.until((texts) => texts.at(-1) === 'Done!');
  expect(saidIn(client.results)).toEqual(expected);
  const starts = client.results.filter(({ is_final, text }) => is_final && text).map(({ start_time }) => start_time);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  const segments = client.results.map(({ segment }) => segment);
  expect(segments).toEqual([...segments].sort((a, b) => a - b));
  expect(opened.map(({ device }) => device.kind)).toEqual(['webgpu', 'webgpu', 'cpu']);
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  expect(metrics).toContain('\nrill_device_losses_total 2');
});

it('a server that finds no other device ends its calls and itself, and says why', async () => {
  let engine: Engine = new WasmEngine();
  const server = (running = await startServer({
    openEngine: async (losses) => {
      if (losses > 0) {
        throw new Error('no more devices');
      }
      return (engine = new WebGpuEngine(await createNodeContext()));
    },
  }));
  const client = new Client(server.http.replace('http', 'ws'));
  await client.opened;
  client.socket.send(Buffer.alloc(3200));
  gpuOf(engine).device.destroy();
  await expect(server.server.ended).rejects.toThrow('no more devices');
  // Whichever comes first: the call's failure, or the server's end.
  expect([1001, 1011]).toContain((await client.closed).code);
});
