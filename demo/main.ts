/** The demo page: a bundled clip or a dropped file through the bundled model, word by word. */
import { GpuContext, OnlineRecognizer, RillError, fetchModel, type OnlineStream, type Waveform } from 'rill';

const MODEL = 'wake-words';
const CLIPS = ['stream', 'alexa', 'amelia', 'athena', 'computer', 'jarvis', 'smart-mirror', 'snowboy', 'view-glass'];
/** How often audio is handed over, as a microphone would. */
const PIECE_SECONDS = 0.08;

function element<Type extends HTMLElement>(id: string, type: new () => Type): Type {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`the page has no ${type.name} #${id}`);
  }
  return found;
}

const progress = element('progress', HTMLProgressElement);
const status = element('status', HTMLElement);
const words = element('words', HTMLOListElement);
const clips = element('clips', HTMLElement);
const drop = element('drop', HTMLLabelElement);
const fileInput = element('file', HTMLInputElement);
const fast = element('fast', HTMLInputElement);
const figure = (id: string, text: string) => (element(id, HTMLElement).textContent = text);

function say(text: string, isError = false): void {
  status.textContent = text;
  status.classList.toggle('error', isError);
}

function sayError(error: unknown): void {
  say(error instanceof RillError ? error.message : String(error), true);
}

function showWord(text: string, start: number, isKeyword: boolean): void {
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = `${start.toFixed(2)} s`;
  item.classList.toggle('keyword', isKeyword);
  item.append(text, time);
  words.append(item);
}

/** Whole words of a result that are not on the page yet. */
function showNewWords(recognizer: OnlineRecognizer, stream: OnlineStream): void {
  const result = recognizer.getResult(stream);
  for (const { word, start } of result.words.slice(words.children.length)) {
    showWord(word, start, false);
  }
  // A keyword of several words lights them all up once its last one is there.
  result.words.forEach(({ start, end }, i) => {
    const heard = result.keywords.some((keyword) => start >= keyword.start && end <= keyword.end);
    words.children[i]?.classList.toggle('keyword', heard);
  });
}

function showFigures({ stats }: OnlineStream): void {
  figure('rtf', stats.realTimeFactor.toFixed(3));
  figure('chunk', `${((stats.computeMs + stats.readbackMs) / Math.max(1, stats.chunks)).toFixed(1)} ms`);
  figure('audio', `${stats.audioSeconds.toFixed(1)} s`);
}

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** The decoded audio of a file, its channels averaged, at whatever rate the browser decodes to. */
async function decode(bytes: ArrayBuffer): Promise<{ waveform: Waveform; audio: AudioBuffer; context: AudioContext }> {
  const context = new AudioContext();
  try {
    const audio = await context.decodeAudioData(bytes);
    const samples = new Float32Array(audio.length);
    for (let channel = 0; channel < audio.numberOfChannels; channel++) {
      audio.getChannelData(channel).forEach((sample, i) => (samples[i] += sample / audio.numberOfChannels));
    }
    return { waveform: { samples, sampleRate: audio.sampleRate }, audio, context };
  } catch (cause) {
    await context.close();
    throw new Error('This file could not be decoded as audio.', { cause });
  }
}

/** Counts runs: a new one ends the one before. */
let run = 0;

async function listen(recognizer: OnlineRecognizer, name: string, bytes: ArrayBuffer): Promise<void> {
  const own = ++run;
  const { waveform, audio, context } = await decode(bytes);
  const stream = recognizer.createStream();
  const realTime = !fast.checked;
  words.replaceChildren();
  say(`Listening to ${name}`);
  if (realTime) {
    const source = new AudioBufferSourceNode(context, { buffer: audio });
    source.connect(context.destination);
    source.start();
  }
  try {
    const { samples, sampleRate } = waveform;
    const piece = Math.ceil(PIECE_SECONDS * sampleRate);
    const started = performance.now();
    for (let at = 0; at < samples.length && own === run; at += piece) {
      const end = Math.min(at + piece, samples.length);
      const ahead = end / sampleRate - (performance.now() - started) / 1000;
      if (realTime && ahead > 0) {
        await pause(ahead);
      }
      stream.acceptWaveform({ samples: samples.subarray(at, end), sampleRate });
      if (end === samples.length) {
        stream.inputFinished();
      }
      while (recognizer.isReady(stream) && own === run) {
        await recognizer.decode(stream);
        if (own !== run) {
          break;
        }
        showNewWords(recognizer, stream);
        showFigures(stream);
      }
      progress.value = end / samples.length;
    }
    if (own === run) {
      const { text } = recognizer.getResult(stream);
      say(text ? `Heard in ${name}: ${text}` : `Nothing the model knows in ${name}.`);
    }
  } finally {
    stream.dispose();
    await context.close();
  }
}

async function start(): Promise<void> {
  const gpu = await GpuContext.create();
  figure('adapter', gpu.adapterName);
  const model = await fetchModel(MODEL, {
    onProgress: (event) => {
      if (event.status === 'progress_total') {
        progress.value = event.progress / 100;
      }
    },
  });
  const recognizer = await OnlineRecognizer.create(gpu, model, { maxStreams: 2 });
  say('Ready. Choose a recording.');

  const play = async (name: string, load: () => Promise<ArrayBuffer>) => {
    for (const button of clips.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.textContent === name));
    }
    try {
      await listen(recognizer, name, await load());
    } catch (error) {
      sayError(error);
    }
  };
  const playFile = (file: File | undefined | null) => file && void play(file.name, () => file.arrayBuffer());

  for (const clip of CLIPS) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = clip;
    button.addEventListener('click', () => {
      void play(clip, async () => (await fetch(`${MODEL}/samples/${clip}.wav`)).arrayBuffer());
    });
    clips.append(button);
  }
  fileInput.addEventListener('change', () => playFile(fileInput.files?.[0]));
  drop.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    playFile(event.dataTransfer?.files[0]);
  });
  await gpu.device.lost;
  say('The GPU device was lost. Reload the page to go on.', true);
}

start().catch(sayError);
