import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { resampled } from '../../src/waveform/resampler.ts';
import { sample, wakeWordsFolder, wakeWordsModel } from '../support/fixtures.ts';
import { Client, collected, floatBytes, shortBytes, speakSherpa, speakVosk, startServer } from '../support/server.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

let running: Awaited<ReturnType<typeof startServer>>;
let recognizer: OnlineRecognizer;
let sherpa: string;
beforeAll(async () => {
  running = await startServer();
  sherpa = running.http.replace('http', 'ws');
  recognizer = await OnlineRecognizer.create(new WasmEngine(), openModel(await wakeWordsModel()));
});
afterAll(async () => {
  recognizer.dispose();
  await running.server.close();
});

/** The texts of a recording's segments. */
async function segmentsOf(name: string): Promise<string[]> {
  const results = await collected(recognizer.transcribe([await sample(name)]));
  return results.filter(({ isFinal }) => isFinal).map(({ text }) => text);
}

describe('sherpa-onnx’s protocol', () => {
  it('hears segment after segment, however fast a recording comes', async () => {
    const expected = await segmentsOf('stream');
    const results = await speakSherpa(sherpa, await sample('stream'), { pieceSeconds: 0.5 });
    const finals = results.filter((result) => result.is_final && result.text !== '');
    expect(finals.map(({ text }) => text)).toEqual(expected);
    expect(results.at(-1)).toMatchObject({ is_final: true, is_eof: true });
    for (const { timestamps, start_time } of finals) {
      expect(timestamps[0]).toBeGreaterThanOrEqual(0);
      expect(start_time + (timestamps.at(-1) ?? 0)).toBeLessThan(36);
    }
  });

  it('hears 16 bits at 8 kHz, as the address says', async () => {
    const wave = resampled(await sample('computer'), 8000);
    const client = new Client(`${sherpa}/?sample_rate=8000&format=s16le`);
    await client.opened;
    client.socket.send(shortBytes(wave.samples));
    client.socket.send('Done');
    await client.until((texts) => texts.at(-1) === 'Done!');
    expect(client.results.at(-1)?.text).toBe('computer');
    expect((await client.closed).code).toBe(1000);
  });
});

describe('vosk’s protocol', () => {
  it('answers message by message, the last with what was said', async () => {
    const replies = await speakVosk(running.vosk, await sample('computer'));
    expect(replies.slice(0, -1).map((reply) => Object.keys(reply))).toEqual(replies.slice(1).map(() => ['partial']));
    expect(replies.at(-1)).toMatchObject({ text: 'computer', result: [{ word: 'computer' }] });
  });

  it('tells utterances as they end, none twice and none lost', async () => {
    const replies = await speakVosk(running.vosk, await sample('stream'));
    const texts = replies.flatMap(({ text }) => (typeof text === 'string' && text !== '' ? [text] : []));
    expect(texts.join(' ')).toBe((await segmentsOf('stream')).join(' '));
    const words = replies.flatMap(({ result }) => (Array.isArray(result) ? (result as { start: number }[]) : []));
    expect(words.map(({ start }) => start)).toEqual(words.map(({ start }) => start).sort((a, b) => a - b));
  });

  it('favours phrases of a list, and hears those of other clients as before', async () => {
    const config = { phrase_list: ['computer', '[unk]'] };
    const wave = await sample('computer');
    const [favouring, plain] = await Promise.all([
      speakVosk(running.vosk, wave, { config }),
      speakVosk(running.vosk, wave),
    ]);
    expect([favouring, plain].map((replies) => replies.at(-1)?.text)).toEqual(['computer', 'computer']);
  });
});

describe('recordings that are posted', () => {
  const post = (body: BodyInit, query = '', init: RequestInit = {}) =>
    fetch(`${running.http}/transcribe${query}`, { method: 'POST', body, ...init });
  const wav = () => readFile(`${wakeWordsFolder}/samples/view-glass.wav`);

  it('come back as JSON, text and subtitles', async () => {
    const bytes = await wav();
    const json = (await (await post(bytes)).json()) as { text: string; words: { word: string }[] };
    expect(json.text).toBe('view glass');
    expect(json.words.map(({ word }) => word)).toEqual(['view', 'glass']);
    expect(await (await post(bytes, '?format=txt')).text()).toBe('view glass\n');
    expect(await (await post(bytes, '?format=srt')).text()).toMatch(/^1\n00:00:0\d,\d{3} --> .*\nview glass\n$/);
    const vtt = await post(bytes, '?format=vtt');
    expect(vtt.headers.get('content-type')).toContain('text/vtt');
    expect(await vtt.text()).toMatch(/^WEBVTT/);
  });

  it('are refused where they are none, are forms, or want a format that there is not', async () => {
    const answers = await Promise.all([
      post('this is no recording at all'),
      post(new URLSearchParams({ a: 'b' }), '', { headers: { 'content-type': 'multipart/form-data; boundary=x' } }),
      post(await wav(), '?format=docx'),
      fetch(`${running.http}/transcribe`),
      fetch(`${running.http}/elsewhere`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 405, 404]);
    expect(await answers[2].json()).toMatchObject({ error: 'bad-request' });
  });

  it.runIf(hasFfmpeg)('may be whatever ffmpeg reads, but no playlist of files of the server', async () => {
    const mp3 = spawnSync('ffmpeg', ['-i', `${wakeWordsFolder}/samples/alexa.wav`, '-f', 'mp3', '-']).stdout;
    expect(await (await post(mp3, '?format=txt')).text()).toBe('alexa\n');
    const playlist = `#EXTM3U\n#EXTINF:3,\nfile:${wakeWordsFolder}/samples/alexa.wav\n#EXT-X-ENDLIST\n`;
    expect((await post(playlist)).status).toBe(400);
  });
});

it('answers for operators, and shows a page that may do no more than it does', async () => {
  expect(await (await fetch(`${running.http}/healthz`)).text()).toBe('ok\n');
  const page = await fetch(running.http);
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await page.text()).toContain('getUserMedia');
  const metrics = await (await fetch(`${running.http}/metrics`)).text();
  for (const name of [
    'sessions',
    'audio_seconds_total',
    'real_time_factor',
    'step_seconds_bucket',
    'backlog_seconds',
    'refusals_total',
    'device_losses_total',
  ]) {
    expect(metrics).toContain(`\nrill_${name}`);
  }
  const client = new Client(`${sherpa}/elsewhere`);
  await expect(client.opened).rejects.toThrow('400');
  client.socket.on('error', () => undefined);
  expect(floatBytes(new Float32Array(1))).toHaveLength(4);
});
