import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from './access.ts';
import type { Admission } from './admission.ts';
import type { HeardCall, HeardCallOptions } from './dialogue.ts';
import type { JournalEntry } from './journal.ts';
import type { Metrics, Protocol } from './metrics.ts';
import { PAGE, PAGE_HEADERS } from './page.ts';
import { Refusal, statusOf, wordsFor, type RefusalReason } from './refusal.ts';
import { transcribe } from './transcribe.ts';

/** After so many seconds it may be worth while to try again. */
const RETRY_SECONDS = 5;

/** What the routes of HTTP answer from. */
export interface RouteHost {
  readonly access: Access;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly maxBodyBytes: number;
  /** Throws why the server takes no calls now. @throws Refusal */
  requireReady(): void;
  /** A client has come. @param remote its address */
  begin(protocol: Protocol, remote: string | undefined): JournalEntry;
  /** Opens a call of a client. @throws RillError */
  open(options: HeardCallOptions, entry: JournalEntry): HeardCall;
  /** A client got no further. */
  refused(reason: RefusalReason): void;
}

/** The address that was asked for. */
export const urlOf = ({ url = '/' }: IncomingMessage): URL => new URL(url, 'http://server');

type Route = (host: RouteHost, request: IncomingMessage, response: ServerResponse, url: URL) => void | Promise<void>;

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/': { GET: (_, _request, response) => void response.writeHead(200, PAGE_HEADERS).end(PAGE) },
  '/healthz': { GET: (_, _request, response) => void response.writeHead(200, PLAIN).end('ok\n') },
  '/readyz': { GET: sayReady },
  '/metrics': { GET: sayMetrics },
  '/transcribe': { POST: hear },
};

const PLAIN = { 'content-type': 'text/plain; charset=utf-8' };

/** Answers a request. */
export async function answer(host: RouteHost, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const url = urlOf(request);
    const methods = Object.hasOwn(ROUTES, url.pathname) ? ROUTES[url.pathname] : undefined;
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    if (!methods) {
      response.writeHead(404, PLAIN).end('not here\n');
    } else if (!Object.hasOwn(methods, method)) {
      response.writeHead(405, { ...PLAIN, allow: Object.keys(methods).join(', ') }).end('not so\n');
    } else {
      await methods[method](host, request, response, url);
    }
  } catch (error) {
    sayError(response, error);
  }
}

function sayReady(host: RouteHost, _request: IncomingMessage, response: ServerResponse): void {
  host.requireReady();
  response.writeHead(200, PLAIN).end('ready\n');
}

async function sayMetrics({ metrics }: RouteHost, _: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': metrics.contentType }).end(await metrics.text());
}

async function hear(host: RouteHost, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  try {
    checkAccess(host.access, request, url);
    host.requireReady();
    const place = host.admission.enter();
    const entry = host.begin('http', request.socket.remoteAddress);
    try {
      const { body, contentType } = await transcribe(
        { request, response },
        url.searchParams,
        host.maxBodyBytes,
        (options) => host.open(options, entry),
      );
      response.writeHead(200, { 'content-type': contentType }).end(body);
      entry.end({});
    } catch (error) {
      entry.end({ error });
      throw error;
    } finally {
      place.leave();
    }
  } catch (error) {
    if (error instanceof Refusal) {
      host.refused(error.reason);
    }
    throw error;
  }
}

/** @throws Refusal `unauthorized` */
export function checkAccess(access: Access, { headers }: IncomingMessage, url: URL): void {
  if (!access.allows({ authorization: headers.authorization, query: url.searchParams })) {
    throw new Refusal('unauthorized', {
      got: 'a call without a token that opens this server',
      expected: 'the header Authorization: Bearer, or ?token= in the address',
      remedy: 'Ask whoever runs the server for a token.',
    });
  }
}

/** The answer to what got no further, as HTTP has it. */
export function refusalResponse(error: unknown): { status: number; headers: Record<string, string>; body: string } {
  const status = statusOf(error);
  const reason = error instanceof Refusal ? error.reason : status === 500 ? 'internal' : 'bad-request';
  return {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(status === 503 && { 'retry-after': String(RETRY_SECONDS) }),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      // What of the request was not read is not the next one.
      connection: 'close',
    },
    body: `${JSON.stringify({ error: reason, message: wordsFor(error) })}\n`,
  };
}

function sayError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, headers, body } = refusalResponse(error);
  response.writeHead(status, headers).end(body);
}
