import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:https';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { sample, wakeWordsFolder } from '../support/fixtures.ts';
import { Client, floatBytes, speakSherpa, speakVosk, startServer } from '../support/server.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/deploy.md', import.meta.url));

let folder: string;
let certificate: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-proxy-'));
  const [key, cert] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name));
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  execFileSync(
    'openssl',
    [...request, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
    { stdio: 'ignore' },
  );
  certificate = await readFile(cert, 'utf8');
  await writeFile(join(folder, 'haproxy.pem'), certificate + (await readFile(key, 'utf8')));
});
afterAll(() => rm(folder, { recursive: true }));

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const PROXIES = {
  nginx: {
    command: 'nginx',
    args: (config: string) => [
      '-p',
      folder,
      '-e',
      'stderr',
      '-g',
      `daemon off; pid ${folder}/nginx.pid;`,
      '-c',
      config,
    ],
  },
  haproxy: { command: 'haproxy', args: (config: string) => ['-db', '-f', config] },
} as const;

/** The document's own configuration, with this machine's ports and folders. */
async function configure(proxy: keyof typeof PROXIES, ports: Readonly<Record<string, number>>): Promise<string> {
  const document = await readFile(DOCUMENT, 'utf8');
  const text = new RegExp(`\`\`\`${proxy}\\n(.*?)\`\`\``, 's').exec(document)?.[1] ?? expect.fail('no configuration');
  const config = Object.entries(ports).reduce(
    (done, [port, own]) => done.replace(new RegExp(`(listen |:|port )${port}\\b`, 'g'), `$1${own}`),
    text.replaceAll('/etc/rill', folder).replaceAll('/var/log/nginx', folder),
  );
  const path = join(folder, `${proxy}.conf`);
  await writeFile(path, config);
  return path;
}

describe.each(['nginx', 'haproxy'] as const)('behind %s', (name) => {
  let running: Awaited<ReturnType<typeof startServer>>;
  let proxy: ChildProcess;
  let said = '';
  let [calls, vosk] = [0, 0];

  beforeAll(async () => {
    running = await startServer({ tokens: ['secret'], limits: { drainSeconds: 20 } });
    [calls, vosk] = [await freePort(), await freePort()];
    const ports = { 6006: running.server.port, 2700: running.server.voskPort ?? 0, 443: calls, 2701: vosk };
    const config = await configure(name, ports);
    proxy = spawn(PROXIES[name].command, PROXIES[name].args(config), { stdio: ['ignore', 'pipe', 'pipe'] });
    [proxy.stdout, proxy.stderr].forEach((stream) => stream?.on('data', (text) => (said += String(text))));
    await vi.waitFor(
      async () => {
        expect(await get('/readyz').catch(() => said)).toMatchObject({ status: 200 });
      },
      { timeout: 60_000, interval: 100 },
    );
  });
  afterAll(async () => {
    if (proxy.exitCode === null) {
      const ended = once(proxy, 'exit');
      proxy.kill();
      await ended;
    }
    await running.server.close();
  });
  afterEach(() => {
    expect(said).not.toContain('secret');
  });

  /** A request with this certificate. */
  const get = (path: string, body?: Buffer) =>
    new Promise<{ status?: number; text: string }>((resolve, reject) => {
      const options = { ca: certificate, method: body ? 'POST' : 'GET', headers: { authorization: 'Bearer secret' } };
      request(`https://localhost:${calls}${path}`, options, (response) => {
        let text = '';
        response.on('data', (piece) => (text += String(piece)));
        response.on('end', () => {
          resolve({ status: response.statusCode, text });
        });
      })
        .on('error', reject)
        .end(body);
    });

  it('both protocols hear, over TLS', async () => {
    const wave = await sample('computer');
    const options = { ca: certificate };
    const heard = await speakSherpa(`wss://localhost:${calls}/?token=secret`, wave, { pauseMs: 5, options });
    expect(heard.at(-1)).toMatchObject({ text: 'computer', is_eof: true });
    const replies = await speakVosk(`wss://localhost:${vosk}/?token=secret`, wave, { options });
    expect(replies.at(-1)).toMatchObject({ text: 'computer' });
  });

  it('recordings are heard, who has no token is refused, and metrics stay inside', async () => {
    const wav = await readFile(`${wakeWordsFolder}/samples/alexa.wav`);
    expect(await get('/transcribe?format=txt', wav)).toEqual({ status: 200, text: 'alexa\n' });
    expect((await get('/metrics')).status).toBe(404);
    await expect(new Client(`wss://localhost:${calls}/`, {}, { ca: certificate }).opened).rejects.toThrow(/^401/);
  });

  it('calls end by themselves when the server drains, and no more come', async () => {
    const { samples } = await sample('computer');
    const client = new Client(`wss://localhost:${calls}/?token=secret`, {}, { ca: certificate });
    await client.opened;
    client.socket.send(floatBytes(samples));
    await client.until(({ length }) => length > 0);
    const drained = running.server.drain();
    await expect.poll(async () => (await get('/readyz')).status, { timeout: 30_000 }).toBe(503);
    client.socket.send('Done');
    await client.until((texts) => texts.at(-1) === 'Done!');
    expect(client.results.at(-1)?.text).toBe('computer');
    await drained;
  });
});
