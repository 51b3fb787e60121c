import { createServer, type RequestListener, type Server } from 'node:http';
import type { WebSocketServer } from 'ws';
import { openModelFolder } from '../node/files.ts';
import { assemble } from './assemble.ts';
import type { ServerCore } from './core.ts';
import { drain } from './drain.ts';
import { sherpaGate, voskGate } from './gates.ts';
import { acceptSockets, type Gate } from './gateway.ts';
import { resolveLimits } from './limits.ts';
import { openLog, type ServerLog } from './log.ts';
import type { ServerOptions } from './options.ts';
import { loadWs } from './packages.ts';
import { listen, portOf } from './ports.ts';
import { answer } from './routes.ts';

const DEFAULT_PORT = 6006;
/** What a request's header may take to come. */
const HEADER_MS = 10_000;

/**
 * A server for many calls: sherpa-onnx's and vosk's WebSocket protocols, and HTTP. docs/server.md has what it speaks.
 *
 * ```ts
 * const server = await RillServer.start({ model: 'weights/wake-words', port: 6006, voskPort: 2700 });
 * process.once('SIGTERM', () => void server.drain());
 * await server.ended;
 * ```
 */
export class RillServer {
  readonly #core: ServerCore;
  readonly #log: ServerLog;
  readonly #servers: { main: Server; vosk?: Server };
  #draining: Promise<void> | undefined;
  #end: { resolve: () => void; reject: (error: unknown) => void } = {
    resolve: () => undefined,
    reject: () => undefined,
  };
  /** Resolves when the server has ended; rejects where it lost its device and found no other. */
  readonly ended: Promise<void>;

  private constructor(
    core: ServerCore,
    log: ServerLog,
    servers: { main: Server; vosk?: Server },
    givenUp: Promise<never>,
  ) {
    this.#core = core;
    this.#log = log;
    this.#servers = servers;
    this.ended = new Promise<void>((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    this.ended.catch(() => undefined);
    givenUp.catch(async (error: unknown) => {
      await this.#shut();
      this.#end.reject(error);
    });
  }

  /**
   * Loads the model, and listens.
   *
   * @throws RillError `bad-argument` for options out of range, a port that is taken, or a package that is missing; as
   * `openModelFolder`, `openNodeEngine` and `OnlineRecognizer.create`.
   */
  static async start(options: ServerOptions): Promise<RillServer> {
    const limits = resolveLimits(options.limits);
    const { WebSocketServer } = await loadWs();
    const log = options.log ?? (await openLog());
    const model = typeof options.model === 'string' ? await openModelFolder(options.model) : options.model;
    const { core, givenUp } = await assemble(options, model, limits, log);
    const sockets = new WebSocketServer({
      noServer: true,
      maxPayload: limits.maxMessageBytes,
      perMessageDeflate: false,
    });
    const answerPlain: RequestListener = (request, response) => {
      void answer(core, request, response);
    };
    try {
      const { port = DEFAULT_PORT, voskPort, host } = options;
      const main = await listenAt(port, host, sherpaGate(core), { core, sockets, answerPlain });
      const vosk =
        voskPort === undefined
          ? undefined
          : await listenAt(voskPort, host, voskGate(core), { core, sockets, answerPlain: needsUpgrade }).catch(
              (error: unknown) => {
                main.close();
                throw error;
              },
            );
      const server = new RillServer(core, log, { main, vosk }, givenUp);
      server.#sayHello();
      return server;
    } catch (error) {
      core.parts.calls.dispose();
      throw error;
    }
  }

  /** The port of sherpa-onnx's protocol and HTTP. */
  get port(): number {
    return portOf(this.#servers.main);
  }

  /** The port of vosk's protocol, where it is spoken. */
  get voskPort(): number | undefined {
    return this.#servers.vosk && portOf(this.#servers.vosk);
  }

  /** Whether calls are taken: what `/readyz` says. */
  get isReady(): boolean {
    return this.#core.isReady;
  }

  /** Clients that are there. */
  get sessions(): number {
    return this.#core.admission.taken;
  }

  /**
   * Takes no more calls, waits until those that are open have ended, or `drainSeconds` are over, and closes.
   *
   * @returns resolves when it is closed
   */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  /** Closes at once; open calls lose their last words. */
  async close(): Promise<void> {
    await this.#shut();
    this.#end.resolve();
  }

  async #shut(): Promise<void> {
    this.#core.admission.drain();
    this.#core.parts.calls.dispose();
    const servers = [this.#servers.main, ...(this.#servers.vosk ? [this.#servers.vosk] : [])];
    await Promise.all([...this.#core.connections].map((connection) => connection.leave(1001, 'the server ends')));
    await Promise.all(
      servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  async #drain(): Promise<void> {
    const { admission, connections, parts } = this.#core;
    this.#log.info({ clients: admission.taken }, 'draining');
    await drain(admission, connections, parts.limits.drainSeconds);
    await this.close();
    this.#log.info({}, 'closed');
  }

  #sayHello(): void {
    const { parts, access } = this.#core;
    const device = parts.calls.current?.recognizer.device;
    const { port, voskPort } = this;
    const { maxSessions } = parts.limits;
    this.#log.info({ port, voskPort, device: device?.name, reason: device?.reason, maxSessions }, 'listening');
    if (access.isOpen) {
      this.#log.warn({}, 'no token: whoever reaches these ports may use them');
    }
  }
}

/** A server at a port, with a protocol for WebSockets and an answer to plain requests. */
async function listenAt(
  port: number,
  host: string | undefined,
  gate: Gate,
  { core, sockets, answerPlain }: { core: ServerCore; sockets: WebSocketServer; answerPlain: RequestListener },
): Promise<Server> {
  const limits = { headersTimeout: HEADER_MS, requestTimeout: 0, connectionsCheckingInterval: HEADER_MS };
  const server = createServer(limits, answerPlain);
  acceptSockets(server, sockets, core, gate);
  await listen(server, port, host);
  return server;
}

/** On vosk's port there is nothing but its protocol. */
const needsUpgrade: RequestListener = (_, response) => {
  response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket' }).end('a WebSocket is wanted here\n');
};
