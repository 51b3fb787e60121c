import { afterAll, beforeAll, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';
import { collected, speakSherpa, startServer } from '../support/server.ts';

let running: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  running = await startServer();
});
afterAll(() => running.server.close());

it('hears over a WebSocket what the recognizer hears, and says when it is ready', async () => {
  expect((await fetch(`${running.http}/readyz`)).status).toBe(200);
  const wave = await sample('computer');
  const recognizer = await OnlineRecognizer.create(new WasmEngine(), openModel(await wakeWordsModel()));
  const expected = await collected(recognizer.transcribe([wave]));
  recognizer.dispose();
  const heard = await speakSherpa(running.http.replace('http', 'ws'), wave);
  expect(heard.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
  expect(heard.at(-1)).toMatchObject({ text: 'computer', timestamps: expected.at(-1)?.timestamps, is_eof: true });
  await running.server.drain();
  await running.server.ended;
  expect(running.log.map(({ message }) => message)).toEqual(
    expect.arrayContaining(['listening', 'client came', 'client went', 'draining', 'closed']),
  );
  expect(JSON.stringify(running.log)).not.toContain('computer');
});
