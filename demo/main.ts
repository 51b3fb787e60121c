/** The demo page: a microphone or recordings through a model in a worker, and everything there is to see of it. */
import {
  DECODING_METHODS,
  Microphone,
  RecognizerClient,
  RillError,
  type DecodingMethod,
  type ModelFiles,
  type RecognizerInfo,
  type StreamUpdate,
  type WaveformChunk,
  type WeightDtype,
  type WorkerRecognizerOptions,
  type WorkerStream,
} from 'rill';
import { Chart } from './charts.ts';
import { create, element, setText } from './elements.ts';
import { decodeAudio, droppedFiles, playAudio, saveFolder, sortFiles } from './files.ts';
import { Heard } from './heard.ts';
import { StatesView } from './states.ts';
import { LANGUAGES, currentLanguage, say, speak } from './strings.ts';
import { Timeline } from './timeline.ts';
import type { DemoVerbs } from './worker.ts';

const BUNDLED = 'wake-words/';
/** How often a recording is handed over, as a microphone would. */
const PIECE_SECONDS = 0.04;
/** How far a recording that goes as fast as it can is handed over ahead of what is decoded. */
const SECONDS_AHEAD = 5;
/** Feature frames beyond its own that the last frame of a chunk sees, in milliseconds. */
const LOOKAHEAD_MS = 50;

const button = (id: string) => element(id, HTMLButtonElement);
const slider = (id: string) => element(id, HTMLInputElement);
const progress = element('progress', HTMLProgressElement);
const status = element('status', HTMLElement);
const notice = element('notice', HTMLElement);
const keywords = element('keywords', HTMLTextAreaElement);
const dtype = element('dtype', HTMLSelectElement);
const method = element('method', HTMLSelectElement);
const layer = element('layer', HTMLSelectElement);

const heard = new Heard();
const timeline = new Timeline(element('timeline', HTMLCanvasElement));
const states = new StatesView(element('states', HTMLCanvasElement));
const probabilities = new Chart(
  element('probabilities', HTMLElement),
  [{ label: 'probability', colour: '--accent', points: true }],
  [0, 1],
);
const chunkTimes = new Chart(element('chunk-times', HTMLElement), [
  { label: 'GPU and readback', colour: '--accent', fill: 'rgb(80 150 255 / 0.25)' },
  { label: 'length', colour: '--second' },
]);

const client = new RecognizerClient<DemoVerbs>(
  new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' }),
  {
    onDeviceLost: () => {
      warn(say('lost'));
    },
    onRecovered: (recovered) => {
      showModel(recovered, false);
      warn('');
      tell(() => say('recovered', { adapter: recovered.adapter }));
    },
    onRecoveryFailed: (error) => {
      info = undefined;
      abandon();
      setBusy(false);
      warnOf(error);
      offerRetry();
    },
  },
);
let info: RecognizerInfo | undefined;
/** What is listened to now: one stream from one source, which can be cut off. */
let listening: { stream: WorkerStream; cut: () => void } | undefined;
/** Counts sources: a new one ends the one before. */
let run = 0;
/** The button of what is listened to. */
let pressed: string | undefined;
/** The model that was loaded last. */
let source: string | ModelFiles | undefined;
let modelName = 'wake-words';
/** The model that was asked for last, for another try. */
let wanted: { source: string | ModelFiles; name: string } = { source: BUNDLED, name: modelName };
let lastRecording: WaveformChunk | undefined;
let loading: AbortController | undefined;
let busy = false;
/** Whether the worker has ended: only a new page has another one. */
let isDead = false;
/** The copies of a recording that are running, if any. */
let crowding: Promise<void> | undefined;
/** Seconds of the current stream that have been decoded. */
let decoded = 0;
/** What the status says, in whatever language. */
let told = () => '';
/** Tokens of the segment whose probabilities are drawn. */
let drawn = { segment: -1, tokens: 0 };

/** Says something new once: screen readers read out each change. */
function tell(text: () => string): void {
  told = text;
  if (status.textContent !== text()) {
    status.textContent = text();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Shows or hides a button; the focus, which would be lost with it, goes to the status. */
function reveal(id: string, isShown: boolean): void {
  if (!isShown && document.activeElement === button(id)) {
    status.focus();
  }
  button(id).hidden = !isShown;
}

function offerRetry(): void {
  button('retry').textContent = say(isDead ? 'reload' : 'retry');
  reveal('retry', true);
}

function warn(text: string): void {
  notice.textContent = text;
  notice.hidden = text === '';
}

/** Why the page cannot listen at all, in its own place: there is nothing to say besides. */
function showUnsupported(code: 'no-webgpu' | 'no-adapter'): void {
  const section = element('unsupported', HTMLElement);
  section.hidden = false;
  section.dataset.code = code;
}

function warnOf(error: unknown): void {
  if (error instanceof RillError && (error.code === 'no-webgpu' || error.code === 'no-adapter')) {
    showUnsupported(error.code);
    return;
  }
  warn(error instanceof Error ? error.message : String(error));
  if (error instanceof RillError && error.code === 'worker') {
    isDead = true;
    info = undefined;
    tell(() => '');
    setBusy(false);
    offerRetry();
  }
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
const milliseconds = (ms: number) => `${ms.toFixed(1)} ms`;

function show(update: StreamUpdate): void {
  const { result, stats, chunk } = update;
  heard.add(result, update.ended);
  timeline.setMarks(heard.marks);
  if (result.segment !== drawn.segment) {
    drawn = { segment: result.segment, tokens: 0 };
  }
  for (; drawn.tokens < result.tokens.length; drawn.tokens++) {
    probabilities.add(result.timestamps[drawn.tokens], Math.exp(result.tokenLogProbs[drawn.tokens]));
  }
  decoded = chunk.end;
  if (chunk.seconds > 0) {
    chunkTimes.add(chunk.end, chunk.computeMs + chunk.readbackMs, 1000 * chunk.seconds);
    setText('compute', milliseconds(chunk.computeMs));
    setText('readback', milliseconds(chunk.readbackMs));
  }
  if (chunk.latencyMs !== undefined) {
    setText('latency', `${chunk.latencyMs.toFixed(0)} ms`);
  }
  setText('rtf', stats.realTimeFactor.toFixed(3));
  setText('audio', `${stats.audioSeconds.toFixed(1)} s`);
  if (update.states) {
    states.add(update.states);
  }
}

/** The keyword list with the slider's threshold where a line has none of its own. */
function keywordText(): string {
  return keywords.value
    .split('\n')
    .map((line) => (line.trim() === '' || line.includes('#') ? line : `${line} #${slider('threshold').value}`))
    .join('\n');
}

/** Ends what is listened to, and starts another source. @returns its number: with another one running it is over */
function begin(name: string): number {
  abandon();
  setPressed(name);
  warn('');
  return run;
}

/** Ends what is listened to at once; nothing of it comes any more. */
function abandon(): void {
  run++;
  listening?.cut();
  listening?.stream.discard();
  listening = undefined;
  setPressed(undefined);
}

/** Ends what is listened to; its last words still come. */
function stop(): void {
  if (listening) {
    listening.cut();
    void listening.stream.finish();
    listening = undefined;
    setPressed(undefined);
  } else {
    abandon();
  }
  tell(() => say('ready'));
}

/** @returns undefined when another source has begun meanwhile */
async function openStream(own: number, label?: string): Promise<WorkerStream | undefined> {
  heard.clear(label);
  timeline.clear(info?.numFeatures ?? 80);
  states.clear();
  [probabilities, chunkTimes].forEach((chart) => {
    chart.clear();
  });
  drawn = { segment: -1, tokens: 0 };
  decoded = 0;
  const beam = info?.method === 'modified_beam_search' || info?.method === 'ctc_beam';
  const stream = await client.createStream({
    keywords: keywordText(),
    ...(beam && { hotwords: hotwordText() }),
    features: true,
    stateLayer: Number(layer.value),
    onUpdate: (update) => {
      if (own === run) {
        show(update);
      }
    },
    onFeatures: (features) => {
      if (own === run) {
        timeline.addFeatures(features);
      }
    },
    onError: (error) => {
      if (own === run) {
        abandon();
        warnOf(error);
      }
    },
  });
  if (own !== run) {
    stream.discard();
    return undefined;
  }
  return stream;
}

/** The keywords as hotwords, for searches that can favour them. */
function hotwordText(): string {
  return keywords.value
    .split('\n')
    .map((line) => line.replace(/[@#:].*$/, '').trim())
    .filter(Boolean)
    .map((line) => `${line} :${slider('boost').value}`)
    .join('\n');
}

function setPressed(name: string | undefined): void {
  pressed = name;
  for (const each of element('clips', HTMLElement).querySelectorAll('button')) {
    each.setAttribute('aria-pressed', String(each.textContent === name));
  }
  button('microphone').textContent = say(name === undefined ? 'microphone' : 'stop');
}

async function listenToMicrophone(): Promise<void> {
  const own = begin('microphone');
  const opened: { stream?: WorkerStream } = {};
  let microphone: Microphone | undefined;
  try {
    microphone = await Microphone.open({
      onAudio: (chunk) => {
        if (opened.stream && own === run) {
          timeline.addAudio(chunk.samples, chunk.sampleRate);
          opened.stream.push(chunk);
        }
      },
      onSilence: (silent) => {
        if (silent || notice.textContent === say('silence')) {
          warn(silent ? say('silence') : '');
        }
      },
      onEnd: () => {
        stop();
        warn(say('microphoneEnded'));
      },
    });
    const stream = own === run ? await openStream(own) : undefined;
    if (!stream) {
      microphone.close();
      return;
    }
    opened.stream = stream;
    const open = microphone;
    listening = {
      stream,
      cut: () => {
        open.close();
      },
    };
    tell(() => say('listeningMicrophone'));
  } catch (error) {
    microphone?.close();
    if (own === run) {
      abandon();
      warnOf(error);
    }
  }
}

async function listenToRecording(name: string, load: () => Promise<ArrayBuffer>, label?: string): Promise<void> {
  if (!info) {
    warn(say('noModel'));
    return;
  }
  const own = begin(name);
  let audio: WaveformChunk;
  try {
    audio = await decodeAudio(await load());
  } catch {
    if (own === run) {
      abandon();
      warn(say('notAudio', { name }));
    }
    return;
  }
  try {
    const stream = own === run ? await openStream(own, label) : undefined;
    if (!stream) {
      return;
    }
    lastRecording = audio;
    showVoices();
    const realTime = slider('real-time').checked;
    const opened: typeof listening = { stream, cut: () => undefined };
    listening = opened;
    if (realTime) {
      opened.cut = playAudio(audio).stop;
    }
    tell(() => say('listeningTo', { name }));
    await pushRecording(own, stream, audio, realTime);
    await finished(own);
    // It may have been stopped before its end.
    if (own === run && listening === opened) {
      opened.cut();
      listening = undefined;
      setPressed(undefined);
      const { text } = heard;
      tell(() => (text ? say('heardIn', { name, text }) : say('heardNothing', { name })));
    }
  } catch (error) {
    if (own === run) {
      abandon();
      warnOf(error);
    }
  }
}

/** Hands a recording over in pieces, each at its time or all as fast as it goes. */
async function pushRecording(
  own: number,
  stream: WorkerStream,
  { samples, sampleRate }: WaveformChunk,
  realTime: boolean,
): Promise<void> {
  const piece = Math.ceil(PIECE_SECONDS * sampleRate);
  const started = performance.now();
  const seconds = samples.length / sampleRate;
  const isWanted = () => own === run && listening?.stream === stream;
  for (let at = 0; at < samples.length; at += piece) {
    const part = samples.subarray(at, at + piece);
    const ahead = (at + part.length) / sampleRate - (performance.now() - started) / 1000;
    if (realTime && ahead > 0) {
      await pause(1000 * ahead);
    }
    while (!realTime && isWanted() && at / sampleRate - decoded > SECONDS_AHEAD) {
      await pause(20);
    }
    if (!isWanted()) {
      return;
    }
    timeline.addAudio(part, sampleRate);
    stream.push({ samples: part, sampleRate, capturedAt: performance.timeOrigin + performance.now() });
    progress.value = realTime ? (at + part.length) / samples.length : decoded / seconds;
  }
  progress.value = 1;
  void stream.finish();
}

/** Resolves when the last update of a stream has come. */
async function finished(own: number): Promise<void> {
  while (own === run && !heard.isFinal) {
    await pause(20);
  }
}

/** What the settings ask for. */
const recognizerOptions = (): WorkerRecognizerOptions => ({
  dtype: dtype.value as WeightDtype | 'auto',
  decodingMethod: (method.value || undefined) as DecodingMethod | undefined,
  chunkFrames: Number(slider('chunk').value),
});

/** Loads a model into the worker; the page can be used when it is there. */
async function load(next: string | ModelFiles, name = modelName): Promise<boolean> {
  abandon();
  warn('');
  loading?.abort();
  wanted = { source: next, name };
  const own = (loading = new AbortController());
  setBusy(true);
  tell(() => say('loading'));
  try {
    // They run on the model that would go.
    await crowding;
    const loaded = await client.load(next, {
      signal: own.signal,
      ...recognizerOptions(),
      // Another model may have other heads: it decodes as it would without a wish.
      ...(next !== source && { decodingMethod: undefined }),
      maxStreams: 4,
      onProgress: (event) => {
        if (event.status === 'progress_total') {
          progress.value = event.progress / 100;
        } else if (event.status === 'ready') {
          tell(() => say('starting'));
          reveal('cancel', false);
        }
      },
    });
    if (own !== loading) {
      return false;
    }
    const isNew = next !== source;
    source = next;
    modelName = name;
    element('unsupported', HTMLElement).hidden = true;
    showModel(loaded, isNew);
    // The slider may have been moved meanwhile.
    await client.setChunkFrames(Number(slider('chunk').value));
    tell(() => say('ready'));
    return true;
  } catch (error) {
    if (own.signal.aborted) {
      if (own === loading) {
        tell(() => say('cancelled'));
        offerRetry();
      }
    } else if (own === loading) {
      tell(() => (info ? say('ready') : ''));
      if (!info) {
        offerRetry();
      }
      warnOf(error);
    }
    return false;
  } finally {
    if (own === loading) {
      setBusy(false);
    }
  }
}

function setBusy(isBusy: boolean): void {
  busy = isBusy;
  reveal('cancel', busy);
  if (busy) {
    reveal('retry', false);
  }
  const usable = !busy && info !== undefined;
  for (const id of ['microphone', 'lose']) {
    button(id).disabled = !usable;
  }
  for (const each of element('clips', HTMLElement).querySelectorAll('button')) {
    each.disabled = !usable;
  }
  showVoices();
}

/** @param isNew another model than before: its own keywords, and its last layer to look at */
function showModel(loaded: RecognizerInfo, isNew: boolean): void {
  info = loaded;
  const { sizes, memory } = loaded;
  const layers = sizes.encoder.numEncoderLayers;
  setText('adapter', `${loaded.adapter}, ${loaded.dtype}`);
  setText('memory', megabytes(Object.values(memory).reduce((sum, bytes) => sum + bytes, 0)));
  setText('parameters', totalParameters(loaded));
  if (isNew) {
    keywords.value = loaded.keywords.trim();
    layer.replaceChildren(...Array.from({ length: layers }, (_, l) => new Option(String(l + 1), String(l))));
    layer.value = String(layers - 1);
  }
  const isBundled = source === BUNDLED;
  reveal('save', !isBundled);
  reveal('bundled', !isBundled);
  const methods = DECODING_METHODS.filter((each) => (each.startsWith('ctc') ? sizes.hasCtc : sizes.transducer));
  method.replaceChildren(...methods.map((each) => new Option(each, each)));
  method.value = loaded.method ?? '';
  showModelName();
  showChunk();
}

const totalParameters = ({ parameters }: RecognizerInfo) =>
  Object.values(parameters)
    .reduce((sum, count) => sum + count, 0)
    .toLocaleString();

function showModelName(): void {
  if (info) {
    const { numEncoderLayers: layers, dModel: width } = info.sizes.encoder;
    setText('model-name', say('converted', { name: modelName, parameters: totalParameters(info), layers, width }));
  }
}

function showChunk(): void {
  const frames = Number(slider('chunk').value);
  setText('chunk-value', say('chunkValue', { frames, ms: 40 * frames + LOOKAHEAD_MS }));
}

const voiceCount = () => 2 ** Number(slider('voices').value);

function showVoices(): void {
  slider('voices').setAttribute('aria-valuetext', String(voiceCount()));
  button('run-voices').textContent = say('voicesRun', { count: voiceCount() });
  button('run-voices').disabled = busy || crowding !== undefined || info === undefined || lastRecording === undefined;
}

async function runVoices(recording: WaveformChunk): Promise<void> {
  try {
    const count = voiceCount();
    const { audioSeconds, wallSeconds } = await client.ask('crowd', count, recording, recognizerOptions());
    const speed = audioSeconds / wallSeconds;
    const item = create('li', '', say('voicesResult', { count, speed: speed.toFixed(1) }));
    const meter = create('meter');
    meter.max = Math.max(100, speed);
    meter.value = speed;
    meter.setAttribute('aria-label', item.textContent ?? '');
    item.append(meter);
    element('voices-results', HTMLUListElement).append(item);
  } catch (error) {
    warnOf(error);
  }
}

async function take(files: readonly File[]): Promise<void> {
  try {
    const { folder, checkpoints, audio, config, tokens } = await sortFiles(files);
    const [first] = checkpoints;
    if (folder) {
      await load(folder, 'model.safetensors');
    } else if (first) {
      warn('');
      const converted = await client.convert([...checkpoints], { config, tokens }, (event) => {
        if (event.status === 'progress_total') {
          progress.value = event.progress / 100;
          tell(() => say('converting', { name: first.name }));
        }
      });
      // Without tokens of its own a model with the bundled one's classes is taken to have its tokens.
      const complete = converted['tokens.txt'] ? converted : { ...converted, ...(await borrowTokens(converted)) };
      await load(complete, first.name);
    } else if (audio[0]) {
      await listenToRecording(audio[0].name, () => audio[0].arrayBuffer());
    } else if (files[0]) {
      warn(say('notAudio', { name: files[0].name }));
    }
  } catch (error) {
    tell(() => '');
    warnOf(error);
  }
}

/** The bundled model's tokens and keywords, where a model has as many tokens. */
async function borrowTokens({ 'config.json': config }: ModelFiles): Promise<Partial<ModelFiles>> {
  const [tokens, keywords] = await Promise.all(
    ['tokens.txt', 'keywords.txt'].map(async (name) => (await fetchBundled(name)).text()),
  );
  const { vocab_size: count } = JSON.parse(config) as { vocab_size?: number };
  return tokens.trim().split('\n').length === count ? { 'tokens.txt': tokens, 'keywords.txt': keywords } : {};
}

async function fetchBundled(name: string): Promise<Response> {
  const response = await fetch(BUNDLED + name);
  if (!response.ok) {
    throw new Error(`${response.url}: ${response.status}`);
  }
  return response;
}

interface Labels {
  clips: { file: string; label: string }[];
}

async function showClips(): Promise<void> {
  const labels = (await (await fetchBundled('samples/labels.json')).json()) as Labels;
  // Parts of a longer recording are listed too, under no file of their own.
  const own = labels.clips.filter(({ file }) => file.endsWith('.wav'));
  const clips = [{ file: 'stream.wav', label: own.map(({ label }) => label).join(' ') }, ...own];
  element('clips', HTMLElement).append(
    ...clips.map(({ file, label }) => {
      const clip = create('button', '', file.replace('.wav', ''));
      clip.type = 'button';
      clip.disabled = busy || info === undefined;
      clip.addEventListener('click', () => {
        if (pressed === clip.textContent) {
          stop();
          return;
        }
        const bytes = async () => (await fetchBundled(`samples/${file}`)).arrayBuffer();
        void listenToRecording(clip.textContent ?? file, bytes, label.replaceAll('_', ' '));
      });
      return clip;
    }),
  );
}

function connectControls(): void {
  button('microphone').addEventListener('click', () => {
    if (pressed === undefined) {
      void listenToMicrophone();
    } else {
      stop();
    }
  });
  const file = slider('file');
  file.addEventListener('change', () => {
    void take([...(file.files ?? [])]);
    file.value = '';
  });
  const drop = element('drop', HTMLLabelElement);
  const hasFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragover', (event) => {
    // Text may be dragged into the list of keywords.
    if (hasFiles(event)) {
      event.preventDefault();
      drop.classList.add('over');
    }
  });
  document.addEventListener('dragleave', () => drop.classList.remove('over'));
  document.addEventListener('drop', (event) => {
    drop.classList.remove('over');
    if (event.dataTransfer && hasFiles(event)) {
      event.preventDefault();
      void droppedFiles(event.dataTransfer).then(take);
    }
  });
  let change = 0;
  const changeKeywords = () => {
    const error = element('keywords-error', HTMLElement);
    const own = ++change;
    error.hidden = true;
    listening?.stream.setKeywords(keywordText()).catch((cause: unknown) => {
      // A later list may be right.
      if (own === change) {
        error.textContent = cause instanceof Error ? cause.message : String(cause);
        error.hidden = false;
      }
    });
  };
  keywords.addEventListener('input', changeKeywords);
  for (const id of ['threshold', 'boost']) {
    slider(id).addEventListener('input', () => {
      setText(`${id}-value`, slider(id).value);
      changeKeywords();
    });
  }
  slider('chunk').addEventListener('input', () => {
    showChunk();
    if (info) {
      client.setChunkFrames(Number(slider('chunk').value)).catch(warnOf);
    }
  });
  for (const select of [dtype, method]) {
    select.addEventListener('change', () => void load(source ?? BUNDLED));
  }
  layer.addEventListener('change', () => {
    states.clear();
    listening?.stream.setOptions({ features: true, stateLayer: Number(layer.value) });
  });
  slider('voices').addEventListener('input', showVoices);
  button('run-voices').addEventListener('click', () => {
    if (lastRecording) {
      crowding = runVoices(lastRecording).finally(() => {
        crowding = undefined;
        showVoices();
      });
      showVoices();
    }
  });
  button('cancel').addEventListener('click', () => loading?.abort());
  button('retry').addEventListener('click', () => {
    if (isDead) {
      location.reload();
    } else {
      void load(wanted.source, wanted.name);
    }
  });
  button('save').addEventListener('click', () => {
    if (typeof source === 'object') {
      saveFolder(source).catch((error: unknown) => {
        // Closing the folder picker is no failure.
        if (!(error instanceof DOMException && error.name === 'AbortError')) {
          warnOf(error);
        }
      });
    }
  });
  button('bundled').addEventListener('click', () => void load(BUNDLED, 'wake-words'));
  button('lose').addEventListener('click', () => {
    client.ask('loseDevice').catch(warnOf);
  });
  const language = element('language', HTMLSelectElement);
  language.value = currentLanguage();
  language.addEventListener('change', () => {
    const chosen = LANGUAGES.find((each) => each === language.value);
    speak(chosen);
    showChunk();
    showVoices();
    showModelName();
    setPressed(pressed);
    tell(told);
    if (!button('retry').hidden) {
      offerRetry();
    }
  });
}

/** Draws what has changed, once a screen refresh. */
function drawAlways(): void {
  timeline.draw();
  states.draw();
  probabilities.draw();
  chunkTimes.draw();
  requestAnimationFrame(drawAlways);
}

speak();
connectControls();
showVoices();
requestAnimationFrame(drawAlways);
if ('gpu' in navigator) {
  await Promise.all([load(BUNDLED), showClips()]).catch(warnOf);
} else {
  showUnsupported('no-webgpu');
}
