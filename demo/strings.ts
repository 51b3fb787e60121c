/** What the page says, in English and Chinese. `{name}` is filled in. */
const ENGLISH = {
  tagline:
    'A speech recogniser that runs in this page, on your GPU or your CPU, in hand-written kernels. Nothing you say leaves your machine.',
  language: 'Language',
  listen: 'Listen',
  microphone: 'Speak',
  stop: 'Stop',
  clips: 'Bundled recordings',
  drop: 'Drop audio or a model here, or',
  choose: 'choose files',
  realTime: 'at the speed of speech, with sound',
  heard: 'Heard',
  nothingYet: 'Words appear here as they are heard.',
  picture: 'Waveform and log-mel spectrogram',
  probabilities: 'Token probability',
  chunkTimes: 'Time of a chunk, ms (the line: its length)',
  states: 'State of layer',
  statesHelp: 'h above, c below: each row a unit, time from left to right',
  keywords: 'Keywords',
  keywordsHelp:
    'One phrase a line, as text or tokens. Keywords and threshold take effect while it listens, the boost from the next start.',
  threshold: 'threshold',
  boost: 'boost (beam search)',
  hits: 'Hits',
  falseAlarms: 'false alarms',
  markFalse: 'not said: count as a false alarm',
  settings: 'Settings',
  chunk: 'chunk',
  chunkValue: '{frames} × 40 ms, at least {ms} ms behind',
  dtype: 'weights',
  asStored: 'as stored',
  method: 'decoding',
  figures: 'Figures',
  realTimeFactor: 'real-time factor',
  latency: 'capture to text',
  readback: 'readback, of a chunk',
  audio: 'audio',
  parameters: 'parameters',
  voices: 'Many voices',
  voicesHelp: 'Copies of the last recording, each a session of its own, as fast as they go.',
  voicesRun: 'Run {count} voices',
  voicesResult: '{count} voices on the {engine}: {speed} times real time',
  model: 'Model',
  progressLabel: 'progress',
  cancel: 'Cancel',
  save: 'Save as a model folder',
  bundled: 'Back to the bundled model',
  loading: 'Loading the model…',
  converting: 'Converting {name}…',
  converted: '{name}: {parameters} parameters, {layers} layers of {width}',
  ready: 'Ready. Speak, or choose a recording.',
  listeningTo: 'Listening to {name}',
  listeningMicrophone: 'Listening. Say alexa, computer, jarvis…',
  silence: 'No sound for 2 s. Is the microphone muted?',
  heardIn: 'Heard in {name}: {text}',
  heardNothing: 'Nothing the model knows in {name}.',
  microphoneEnded: 'The microphone went away.',
  notAudio: '{name} could not be decoded as audio.',
  cancelled: 'The download was cancelled.',
  retry: 'Try again',
  reload: 'Reload the page',
  noModel: 'No model is loaded yet.',
  memory: 'memory',
  compute: 'computing, of a chunk',
  starting: 'Preparing the engine…',
  engine: 'Engine',
  device: 'run on',
  deviceAuto: 'Auto: the faster one here',
  deviceGpu: 'GPU (WebGPU)',
  deviceCpu: 'CPU (WebAssembly)',
  runsOn: 'Runs on {name}: {reason}.',
  useAuto: 'Take whichever engine there is (Auto)',
  timeEngines: 'Time both engines',
  timeHelp: 'What a chunk takes on each: press to measure.',
  timing: 'Measuring…',
  timedChunk: 'Encoder’s time of a chunk of {frames} × 40 ms, weights in {dtype}: median.',
  timeLater: 'Not while something is heard. Stop it first.',
  lost: 'The GPU was lost. Opening another; what was heard is kept.',
  recovered: 'The GPU is back ({name}).',
  recoveredOnCpu: 'No GPU stays. It goes on on the CPU; what was heard is kept.',
  lose: 'Lose the GPU, to see what happens',
  noWebGpu: 'no WebGPU in this browser',
  noAdapter: 'no GPU adapter here',
  noWasm: 'no WebAssembly with SIMD here',
  known:
    'Eight phrases are known to the small bundled model: alexa, amelia, athena, computer, jarvis, smart mirror, snowboy, view glass. Everything else should leave it silent.',
};

type Key = keyof typeof ENGLISH;

const CHINESE: Readonly<Record<Key, string>> = {
  tagline: '在本页面中、在您的 GPU 或 CPU 上运行的语音识别器，计算内核全部手写。您说的话不会离开这台设备。',
  language: '语言',
  listen: '聆听',
  microphone: '说话',
  stop: '停止',
  clips: '自带录音',
  drop: '将音频或模型拖到这里，或',
  choose: '选择文件',
  realTime: '按语速播放并出声',
  heard: '听到的内容',
  nothingYet: '听到的词会显示在这里。',
  picture: '波形与对数梅尔频谱',
  probabilities: '词元概率',
  chunkTimes: '每块用时（毫秒；横线为块长）',
  states: '状态：第几层',
  statesHelp: '上为 h，下为 c：每行一个单元，时间从左到右',
  keywords: '关键词',
  keywordsHelp: '每行一个短语，写文本或词元均可。关键词与阈值在聆听时立即生效，加分从下次开始生效。',
  threshold: '阈值',
  boost: '加分（束搜索）',
  hits: '命中',
  falseAlarms: '误报',
  markFalse: '没有说过：记为误报',
  settings: '设置',
  chunk: '块',
  chunkValue: '{frames} × 40 毫秒，至少滞后 {ms} 毫秒',
  dtype: '权重',
  asStored: '按文件',
  method: '解码',
  figures: '数据',
  realTimeFactor: '实时率',
  latency: '从采集到文字',
  readback: '每块回读用时',
  audio: '音频',
  parameters: '参数',
  voices: '多路语音',
  voicesHelp: '把上一段录音复制多份，各为一个会话，全速运行。',
  voicesRun: '运行 {count} 路',
  voicesResult: '{count} 路，{engine}：实时的 {speed} 倍',
  model: '模型',
  progressLabel: '进度',
  cancel: '取消',
  save: '保存为模型文件夹',
  bundled: '换回自带模型',
  loading: '正在加载模型…',
  converting: '正在转换 {name}…',
  converted: '{name}：{parameters} 个参数，{layers} 层，宽 {width}',
  ready: '就绪。请说话，或选择一段录音。',
  listeningTo: '正在听 {name}',
  listeningMicrophone: '正在聆听。请说 alexa、computer、jarvis…',
  silence: '已有 2 秒没有声音。麦克风是否静音？',
  heardIn: '在 {name} 中听到：{text}',
  heardNothing: '{name} 中没有模型认识的内容。',
  microphoneEnded: '麦克风已断开。',
  notAudio: '{name} 无法作为音频解码。',
  cancelled: '下载已取消。',
  retry: '重试',
  reload: '重新加载页面',
  noModel: '模型尚未加载。',
  memory: '内存',
  compute: '每块计算用时',
  starting: '正在准备引擎…',
  engine: '引擎',
  device: '运行于',
  deviceAuto: '自动：此处较快的一个',
  deviceGpu: 'GPU（WebGPU）',
  deviceCpu: 'CPU（WebAssembly）',
  runsOn: '现运行于 {name}：{reason}。',
  useAuto: '改用可用的引擎（自动）',
  timeEngines: '测量两个引擎',
  timeHelp: '每块在两个引擎上各用多少时间：按下即测量。',
  timing: '正在测量…',
  timedChunk: '编码器处理一块（{frames} × 40 毫秒，权重 {dtype}）的用时中位数。',
  timeLater: '聆听时不测量，请先停止。',
  lost: 'GPU 已丢失，正在打开另一个；已听到的内容会保留。',
  recovered: 'GPU 已恢复（{name}）。',
  recoveredOnCpu: 'GPU 屡次丢失，现改在 CPU 上继续；已听到的内容会保留。',
  lose: '让 GPU 丢失，看看会怎样',
  noWebGpu: '此浏览器没有 WebGPU',
  noAdapter: '此处没有 GPU 适配器',
  noWasm: '此处没有带 SIMD 的 WebAssembly',
  known:
    '自带的小模型认识八个短语：alexa、amelia、athena、computer、jarvis、smart mirror、snowboy、view glass。其余内容它应当保持沉默。',
};

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

let language: Language = navigator.language.startsWith('zh') ? 'zh' : 'en';

export const currentLanguage = () => language;

export function say(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  const text = (language === 'zh' ? CHINESE : ENGLISH)[key];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

const isKey = (key: string | undefined): key is Key => key !== undefined && key in ENGLISH;

/** Fills in every element with `data-say`, and the labels of those with `data-say-label`. */
export function speak(chosen: Language = language): void {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll<HTMLElement>('[data-say], [data-say-label]')) {
    const { say: text, sayLabel: label } = element.dataset;
    if (isKey(text)) {
      element.textContent = say(text);
    }
    if (isKey(label)) {
      element.setAttribute('aria-label', say(label));
    }
  }
}
