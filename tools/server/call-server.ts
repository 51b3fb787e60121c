/**
 * A server of calls, as small as it can be: what {@link DurableCalls} needs of a WebSocket. `npm run bench:calls` starts and
 * kills it. Arguments: the address of a Redis, and seconds from save to save. Tells its port on stdout.
 */
import type { IncomingMessage } from 'node:http';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { SessionManager } from '../../src/recognizer/sessions.ts';
import type { DurableCall } from '../../src/server/durable/call.ts';
import { DurableCalls } from '../../src/server/durable/calls.ts';
import { RedisCallStore } from '../../src/server/durable/redis.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { openModelFolder } from '../../src/node/files.ts';
import { CALL_OPTIONS, bundledFolder } from './call-model.ts';
import { FINISH, decodePiece, type ServerMessage } from './call-protocol.ts';

const [redis, saveSeconds] = process.argv.slice(2);

const recognizer = await OnlineRecognizer.create(new WasmEngine(), await openModelFolder(bundledFolder), CALL_OPTIONS);
const calls = new DurableCalls(
  new SessionManager(recognizer, { maxBacklogSeconds: Infinity }),
  await RedisCallStore.open(redis),
  { saveSeconds: Number(saveSeconds) },
);

async function serve(socket: WebSocket, request: IncomingMessage): Promise<void> {
  const query = new URL(request.url ?? '', 'ws://localhost').searchParams;
  const say = (message: ServerMessage) => {
    socket.send(JSON.stringify(message));
  };
  // What comes before the call is open waits for it.
  const opening = calls.open({
    id: query.get('call') ?? '',
    sampleRate: Number(query.get('rate')),
    heard: Number(query.get('heard')),
    onResult: (result, number) => {
      say({ number, result });
    },
    onAcknowledged: (acknowledged) => {
      say({ acknowledged });
    },
    onClose: (closed, error) => {
      say({ closed, error: error?.message });
      socket.close();
    },
  });
  socket.on('message', (data, isBinary) => void opening.then((call) => take(call, data, isBinary)).catch(refuse));
  socket.on('close', () => void opening.then((call) => call.suspend()).catch(() => undefined));
  const refuse = (error: unknown) => {
    say({ closed: 'failed', error: String(error) });
    socket.close();
  };
  await opening.then(({ acknowledged }) => {
    say({ acknowledged });
  }, refuse);
}

function take(call: DurableCall, data: RawData, isBinary: boolean): void {
  if (call.end !== undefined) {
    return;
  }
  if (isBinary && Buffer.isBuffer(data)) {
    const { samples, position } = decodePiece(data);
    call.push(samples, position);
  } else if (Buffer.isBuffer(data) && data.toString() === FINISH) {
    call.finish();
  }
}

const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
server.on('connection', (socket, request) => void serve(socket, request));
server.on('listening', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address ? address.port : 0}\n`);
});
process.on('SIGTERM', () => {
  void calls.drain().then(() => process.exit(0));
});
