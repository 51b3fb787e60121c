/** `npm start`: a bundled recording through the bundled model, word by word as the shaders hear it. */
import { fileURLToPath } from 'node:url';
import { readWav } from '../src/waveform/wav.ts';
import { timedLine } from './commands/transcribe.ts';
import { readInput, readModelFiles } from './files.ts';
import { percentile } from './runtime/statistics.ts';
import { openRuntime } from './runtime/runtime.ts';
import { print } from './terminal.ts';

const CHUNK_FRAMES = 4;
const MS_PER_FRAME = 40;
const folder = fileURLToPath(new URL('../weights/wake-words/', import.meta.url));

const runtime = await openRuntime();
const recording = readWav(await readInput(`${folder}samples/stream.wav`));
print(
  `Listening to weights/wake-words/samples/stream.wav (${(recording.samples.length / recording.sampleRate).toFixed(1)} s of speech, six wake words in it)\n`,
);
print('  start     end  word');
const { keywords, stats, chunkMs } = await runtime.run(
  'transcribe',
  { model: await readModelFiles(folder), audio: [recording], chunkFrames: CHUNK_FRAMES },
  (event) => {
    if (event.type === 'word') {
      print(timedLine(event.word.start, event.word.end, event.word.word));
    }
  },
);
const ms = (share: number) => `${percentile(chunkMs, share).toFixed(1)} ms`;
print(`
keywords          ${keywords.map(({ keyword }) => keyword).join(', ')}
adapter           ${runtime.adapter}, in ${runtime.name}
chunk             ${CHUNK_FRAMES} encoder frames = ${CHUNK_FRAMES * MS_PER_FRAME} ms of audio
time per chunk    median ${ms(0.5)}, 95th percentile ${ms(0.95)}, over ${stats.chunks} chunks
real-time factor  ${stats.realTimeFactor.toFixed(3)} (below 1 is faster than the speech itself)

See it in a browser: npm run demo`);
await runtime.close();
process.exit(0);
