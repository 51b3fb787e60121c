import type { IncomingMessage, ServerResponse } from 'node:http';
import { shown, type RillError } from '../errors.ts';
import { soundOf } from '../node/sound.ts';
import { TRANSCRIPT_FORMATS, formatTranscript, type TranscriptFormat } from '../recognizer/transcript-formats.ts';
import { TranscriptBuilder } from '../recognizer/transcript.ts';
import type { CloseReason } from '../recognizer/sessions.ts';
import type { HeardCall, HeardCallOptions } from './dialogue.ts';
import { Refusal } from './refusal.ts';

const CONTENT_TYPES: Readonly<Record<TranscriptFormat, string>> = {
  json: 'application/json; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  srt: 'application/x-subrip; charset=utf-8',
  vtt: 'text/vtt; charset=utf-8',
};

/** A recording's name in its transcript, where the query has no `name`. */
const NAME = 'recording';

/** What a recording became. */
export interface PostedTranscript {
  contentType: string;
  body: string;
}

/**
 * Hears a recording that is posted: WAV, or whatever ffmpeg reads where it is installed.
 *
 * @param query `format` of the answer, `name` of the recording
 * @param maxBytes of the body
 * @throws RillError what is wrong with the request or the recording.
 */
export async function transcribe(
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  query: URLSearchParams,
  maxBytes: number,
  open: (options: HeardCallOptions) => HeardCall,
): Promise<PostedTranscript> {
  const format = formatOf(query.get('format') ?? 'json');
  checkBody(request, maxBytes);
  const builder = new TranscriptBuilder();
  let ended: (end: CloseReason, error?: RillError) => void = () => undefined;
  const end = new Promise<void>((resolve, reject) => {
    ended = (how, error) => {
      if (how === 'finished') {
        resolve();
      } else {
        reject(error ?? gaveUp(how));
      }
    };
  });
  // Who reads the sound is told first.
  end.catch(() => undefined);
  const call = open({
    onResult: (result) => {
      builder.accept(result);
    },
    onEnd: ended,
  });
  // Whoever hangs up wants no answer.
  response.once('close', () => {
    call.discard();
  });
  try {
    const name = query.get('name') ?? NAME;
    for await (const piece of soundOf(limited(request, maxBytes), name)) {
      await call.push(piece);
    }
    call.finish();
    await end;
    return { contentType: CONTENT_TYPES[format], body: formatTranscript(format, name, builder.transcript) };
  } finally {
    call.discard();
  }
}

function formatOf(text: string): TranscriptFormat {
  const format = TRANSCRIPT_FORMATS.find((each) => each === text);
  if (format === undefined) {
    throw new Refusal('bad-request', {
      got: `format=${shown(text)}`,
      expected: TRANSCRIPT_FORMATS.join(', '),
      remedy: 'Leave it out for JSON.',
    });
  }
  return format;
}

/** What the header already tells. */
function checkBody({ headers }: IncomingMessage, maxBytes: number): void {
  if (/^multipart\//i.test(headers['content-type'] ?? '')) {
    throw new Refusal('bad-request', {
      got: 'a form with files',
      expected: 'the recording itself as the body',
      remedy: 'Post its bytes: curl --data-binary @recording.wav.',
    });
  }
  if (Number(headers['content-length'] ?? 0) > maxBytes) {
    throw tooLarge(maxBytes);
  }
}

async function* limited(request: IncomingMessage, maxBytes: number): AsyncGenerator<Uint8Array> {
  let count = 0;
  // What comes behind the sound is not wanted; the connection is, for the answer.
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  for await (const bytes of pieces) {
    count += bytes.length;
    if (count > maxBytes) {
      throw tooLarge(maxBytes);
    }
    yield bytes;
  }
}

const tooLarge = (maxBytes: number) =>
  new Refusal('too-large', {
    got: `a recording of more than ${maxBytes} bytes`,
    expected: `at most ${maxBytes}`,
    remedy: 'Cut it, compress it, or send it over a WebSocket.',
  });

const gaveUp = (end: CloseReason) =>
  end === 'idle'
    ? new Refusal('slow', {
        got: 'a recording that no more came of',
        expected: 'all of it, without long pauses',
        remedy: 'Send it again.',
      })
    : new Refusal('draining', {
        got: 'a recording that was given up',
        expected: 'a server that stays',
        remedy: 'Send it again: another server hears it.',
      });
