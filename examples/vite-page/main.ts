/** Hears a recording in a page that Vite builds. The model's folder is public/wake-words. */
import { RecognizerClient, readWav } from 'rill-asr';

const client = new RecognizerClient(new Worker(new URL('worker.ts', import.meta.url), { type: 'module' }));
await client.load('wake-words/');
const stream = await client.createStream({
  onUpdate: ({ result: { text, isFinal } }) => isFinal && document.body.append(`${text} `),
});
const recording = await fetch('wake-words/samples/stream.wav');
stream.push(readWav(await recording.arrayBuffer()));
await stream.finish();
