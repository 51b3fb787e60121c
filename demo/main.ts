/** The demo page: a microphone or recordings through a model in a worker, and everything there is to see of it. */
import { BUNDLED, bundledRecordings } from './bundled.ts';
import { connectDropZone } from './drop-zone.ts';
import { EnginePanel } from './engine-panel.ts';
import { EngineTimes } from './engine-times.ts';
import { KeywordList } from './keyword-list.ts';
import { connectLanguage } from './language.ts';
import { Listening } from './listening.ts';
import { MicrophoneSource } from './microphone.ts';
import { ModelPanel } from './model-panel.ts';
import { DemoModel } from './model.ts';
import { Panels } from './panels.ts';
import { RecordingQueue } from './queue.ts';
import { Recordings } from './recordings.ts';
import { Settings } from './settings.ts';
import { SourceButtons } from './source-buttons.ts';
import { Speed } from './speed.ts';
import { StatesView } from './states.ts';
import { Status } from './status.ts';
import { takeFiles } from './take-files.ts';
import { TeachPanel } from './teach/panel.ts';
import { Voices } from './voices.ts';

// Parts call one another back, by which time all of them are there.
const status = new Status();
const settings = new Settings({ onChunk: () => model.followChunk(), onReload: () => model.reload() });
const keywords = new KeywordList({
  check: (lines) => (model.info ? model.client.ask('checkKeywords', lines) : Promise.resolve([])),
  onChange: (changed) => listening.setKeywords(changed),
});
const speed = new Speed(() => model.info);
const panels = new Panels({ states: new StatesView((layer) => listening.setLayer(layer)), speed, status });

const model: DemoModel = new DemoModel(BUNDLED, status, settings, {
  onLeave: async () => {
    listening.abandon();
    await Promise.all([voices.finished(), engineTimes.finished()]);
  },
  onModel: (info, isNew) => {
    settings.showModel(info);
    modelPanel.sayAgain();
    enginePanel.sayAgain();
    engineTimes.clear();
    speed.clear();
    panels.setModel(model.loaded?.source === BUNDLED.source);
    void teach.setModel();
    if (isNew) {
      keywords.show(info.keywords);
      panels.states.setLayers(info.sizes.encoder.numEncoderLayers);
    }
  },
  onUsable: (isUsable) => {
    for (const part of [buttons, enginePanel, engineTimes, voices, teach]) {
      part.setUsable(isUsable);
    }
  },
});
const modelPanel = new ModelPanel(model, status);
const enginePanel = new EnginePanel(model, status);
const voices: Voices = new Voices(model, settings);
const engineTimes: EngineTimes = new EngineTimes(
  model,
  () => settings.chunkFrames,
  () => listening.isHearing || voices.isRunning,
);

const buttons = new SourceButtons({
  onMicrophone: () => void microphone.listen(),
  onStop: () => listening.stop(),
});
const listening: Listening = new Listening({ model, keywords, panels, buttons, status });
const microphone = new MicrophoneSource(listening, panels, status);
const recordings = new Recordings({ model, listening, panels, status }, (audio) => voices.setRecording(audio));
const queue = new RecordingQueue(recordings, () => listening.stop());
const teach: TeachPanel = new TeachPanel({
  model,
  constraints: () => microphone.picker.constraints,
  stopListening: () => {
    if (listening.isHearing) {
      listening.stop();
    }
  },
});

connectDropZone((files) => void takeFiles(files, model, status, queue), teach.dropTargets);
connectLanguage([
  settings,
  voices,
  modelPanel,
  enginePanel,
  engineTimes,
  buttons,
  status,
  model,
  keywords,
  microphone.picker,
  panels,
  panels.transcript,
  queue,
  speed,
  teach,
]);

async function showRecordings(): Promise<void> {
  buttons.addRecordings(await bundledRecordings(), (recording) => void recordings.listen(recording));
}

await Promise.all([model.load(), showRecordings()]).catch((error: unknown) => model.fail(error));
