import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { Connection } from './connection.ts';
import type { ServerCore } from './core.ts';
import type { Dialogue, Line } from './dialogue.ts';
import type { Protocol } from './metrics.ts';
import { Refusal } from './refusal.ts';
import { checkAccess, refusalResponse, urlOf } from './routes.ts';

/** A protocol behind an address. */
export interface Gate {
  protocol: Protocol;
  /** What an address asks for. @throws Refusal for what is wrong with it. */
  speaker(url: URL): Speaker;
}

/** The server's side of a conversation. */
export interface Speaker {
  /** Makes it. */
  speak: (line: Line) => Dialogue;
  /** The call that the address names: one connection at a time has it, and its place. */
  call?: string;
}

/** Lets WebSockets of a server in, or answers why not in words of HTTP. */
export function acceptSockets(server: Server, sockets: WebSocketServer, core: ServerCore, gate: Gate): void {
  server.on('upgrade', (request, socket, head) => {
    // Whoever goes while it is answered is no failure of the server's.
    socket.on('error', () => undefined);
    try {
      letIn(request, socket, head, sockets, core, gate);
    } catch (error) {
      core.refused(error instanceof Refusal ? error.reason : 'bad-request');
      refuse(socket, error);
    }
  });
}

function letIn(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  sockets: WebSocketServer,
  core: ServerCore,
  gate: Gate,
): void {
  const url = urlOf(request);
  checkAccess(core.access, request, url);
  core.requireReady();
  const { speak, call } = gate.speaker(url);
  const place = core.enter(call);
  // Where the handshake fails nobody has come.
  socket.once('close', place.leave);
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    socket.off('close', place.leave);
    const entry = core.begin(gate.protocol, request.socket.remoteAddress);
    core.connections.add(new Connection(webSocket, core.hostOf(entry, place.leave, call), speak));
  });
}

function refuse(socket: Duplex, error: unknown): void {
  const { status, headers, body } = refusalResponse(error);
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)) });
  const head = [`HTTP/1.1 ${status} Refused`, ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
  socket.end(`${head}\r\n\r\n${body}`);
}
