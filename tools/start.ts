/** `npm start`: a bundled recording through the bundled model, on WebGPU and on the CPU, and which one would be taken. */
import { fileURLToPath } from 'node:url';
import { fbank } from '../src/features/fbank.ts';
import { openModel } from '../src/model/model.ts';
import { openNodeEngine } from '../src/node/engine.ts';
import { WasmEngine } from '../src/wasm/engine.ts';
import { readWav } from '../src/waveform/wav.ts';
import { timedLine } from './commands/transcribe.ts';
import { readInput, readModelFiles } from './files.ts';
import type { TranscribeOutput } from './runtime/jobs.ts';
import { openRuntime, runtimeHere, type Runtime } from './runtime/runtime.ts';
import { percentile } from './runtime/statistics.ts';
import { print, table } from './terminal.ts';

const CHUNK_FRAMES = 4;
const MS_PER_FRAME = 40;
const folder = fileURLToPath(new URL('../weights/wake-words/', import.meta.url));
const model = await readModelFiles(folder);
const recording = readWav(await readInput(`${folder}samples/stream.wav`));

/** What a runtime makes of the recording. */
interface Heard {
  runtime: Runtime;
  transcript: TranscribeOutput;
  /** (frames, d_model) */
  embeddings: Float32Array;
}

async function hear(runtime: Runtime): Promise<Heard> {
  print(`\n${runtime.device.name}, in ${runtime.name}\n\n  start     end  word`);
  const transcript = await runtime.run(
    'transcribe',
    { model, audio: [recording], chunkFrames: CHUNK_FRAMES },
    (event) => {
      if (event.type === 'word') {
        print(timedLine(event.word.start, event.word.end, event.word.word));
      }
    },
  );
  const { features: options } = openModel(model).config;
  const features = fbank(recording.samples, options);
  const frames = features.length / options.numMelBins;
  const { encoderOut } = await runtime.run('encode', {
    model,
    features,
    featureWidth: options.numMelBins,
    lengths: [frames],
  });
  return { runtime, transcript, embeddings: encoderOut };
}

const seconds = recording.samples.length / recording.sampleRate;
print(
  `Listening to weights/wake-words/samples/stream.wav (${seconds.toFixed(1)} s of speech, six wake words in it), in chunks of ` +
    `${CHUNK_FRAMES} encoder frames = ${CHUNK_FRAMES * MS_PER_FRAME} ms.`,
);
const heard = [await hear(await openRuntime({ device: 'webgpu' })), await hear(runtimeHere(new WasmEngine()))];

const ms = ({ chunkMs }: TranscribeOutput, share: number) => `${percentile(chunkMs, share).toFixed(2)} ms`;
const words = ({ words: all }: TranscribeOutput) => all.map(({ word }) => word).join(' ');
const [first, second] = heard;
const largest = first.embeddings.reduce((most, value, i) => Math.max(most, Math.abs(value - second.embeddings[i])), 0);
const column = (title: string, cell: (heard: Heard) => string) => [title, ...heard.map(cell)];
print(`
${table([
  column('', ({ runtime }) => runtime.device.kind),
  column('words', ({ transcript }) =>
    words(transcript) === words(first.transcript) ? `${transcript.words.length}` : 'others',
  ),
  column('keywords', ({ transcript }) => `${transcript.keywords.length}`),
  column('a chunk, median', ({ transcript }) => ms(transcript, 0.5)),
  column('a chunk, 95 of 100', ({ transcript }) => ms(transcript, 0.95)),
  column('real-time factor', ({ transcript }) => transcript.stats.realTimeFactor.toFixed(4)),
])}
keywords: ${first.transcript.keywords.map(({ keyword }) => keyword).join(', ')}
largest difference of the embeddings: ${largest.toExponential(1)}`);

const auto = await openNodeEngine();
const encoder = await auto.createEncoder(openModel(model), { maxFrames: CHUNK_FRAMES });
print(`auto would take here: ${auto.device.kind} (${auto.device.name}; ${auto.device.reason})

See it in a browser: npm run demo`);
encoder.dispose();
auto.dispose();
for (const { runtime } of heard) {
  await runtime.close();
}
process.exit(0);
