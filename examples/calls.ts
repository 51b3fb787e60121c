/**
 * Many calls on a Node server: each POST is one call, its body 16-bit mono samples at 16 kHz as they are spoken, its
 * answer a line of JSON for each thing that was heard. All calls share one encoder, and go into one step.
 *
 *   npx tsx examples/calls.ts weights/wake-words 8080
 *   curl -sN -T recording.raw http://localhost:8080
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { OnlineRecognizer, RillError, SessionManager, type Session } from 'rill-asr';
import { openModelFolder, openNodeEngine } from 'rill-asr/node';

const [folder = 'weights/wake-words', port = '8080'] = process.argv.slice(2);
const SAMPLE_RATE = 16000;

const model = await openModelFolder(folder);
const recognizer = await OnlineRecognizer.load(model, {
  device: await openNodeEngine(),
  maxStreams: 200,
  chunkFrames: 4,
});
const sessions = new SessionManager(recognizer, { idleSeconds: 30 });

async function hear(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = (line: object) => response.write(`${JSON.stringify(line)}\n`);
  let session: Session;
  try {
    session = sessions.create({
      onResult: ({ text, segment, isFinal }) => {
        answer({ text, segment, isFinal });
      },
      onClose: (reason, error) => {
        response.end(`${JSON.stringify({ closed: reason, error: error?.message })}\n`);
      },
    });
  } catch (error) {
    const busy = error instanceof RillError && error.code === 'busy';
    response.writeHead(busy ? 503 : 500).end(`${String(error)}\n`);
    return;
  }
  request.on('aborted', () => session.discard());
  try {
    let rest = Buffer.alloc(0);
    for await (const piece of request) {
      const bytes = Buffer.concat([rest, piece as Buffer]);
      const count = bytes.length >> 1;
      const samples = Float32Array.from({ length: count }, (_, i) => bytes.readInt16LE(2 * i) / 32768);
      rest = bytes.subarray(2 * count);
      // A sender that is faster than the GPU waits, and loses nothing.
      await session.ready();
      session.push({ samples, sampleRate: SAMPLE_RATE });
    }
    session.finish();
  } catch (error) {
    // Whoever hung up, or was idle for too long, has been told by onClose.
    if (session.isOpen) {
      answer({ error: String(error) });
      session.discard();
    }
  }
}

const server = createServer((request, response) => void hear(request, response));
server.listen(Number(port), () => console.log(`listening on ${port}, on ${recognizer.device.name}`));
