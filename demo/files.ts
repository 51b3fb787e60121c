/** What people drop: recordings, checkpoints, model folders. */
import type { ModelFiles, Waveform } from 'rill-asr';

const CHECKPOINT = /\.(pt|pth|ckpt|bin|jit|safetensors|onnx)$/i;
const ONNX = /\.onnx$/i;
/** What lies beside ONNX models and holds none of their weights; files that do may have any name. */
const NO_WEIGHTS = /^\.|\.(txt|json|md|csv|wav|mp3|flac|ogg|m4a|py|sh)$/i;

/** The files of a drop; those of a folder where one was dropped. */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const loose = [...transfer.files];
  const nested = await Promise.all(
    entries.map(async (entry, i) => {
      if (!(entry instanceof FileSystemDirectoryEntry)) {
        return loose[i] ? [loose[i]] : [];
      }
      const inside = await readFolder(entry);
      const files = inside.filter((each): each is FileSystemFileEntry => each.isFile);
      return Promise.all(files.map((each) => new Promise<File>((resolve, reject) => each.file(resolve, reject))));
    }),
  );
  return nested.flat();
}

/** The entries of a folder; a reader gives some hundred at a time. */
async function readFolder(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) {
      return all;
    }
    all.push(...some);
  }
}

/** Dropped files, told apart. */
export interface Drop {
  /** `config.json` and `model.safetensors` of a model folder. */
  folder?: ModelFiles;
  checkpoints: File[];
  config?: string;
  tokens?: string;
  audio: File[];
}

export async function sortFiles(files: readonly File[]): Promise<Drop> {
  const named = (name: string) => files.find((file) => file.name.toLowerCase() === name);
  const text = async (name: string) => named(name)?.text();
  const [config, tokens, keywords] = await Promise.all(['config.json', 'tokens.txt', 'keywords.txt'].map(text));
  const hasOnnx = files.some(({ name }) => ONNX.test(name));
  const checkpoints = files.filter(({ name }) => CHECKPOINT.test(name) || (hasOnnx && !NO_WEIGHTS.test(name)));
  const weights = named('model.safetensors');
  const isText = (name: string) => /\.(txt|json)$/i.test(name);
  return {
    folder:
      weights && config !== undefined
        ? {
            'config.json': config,
            'model.safetensors': new Uint8Array(await weights.arrayBuffer()),
            'tokens.txt': tokens,
            'keywords.txt': keywords,
          }
        : undefined,
    checkpoints,
    config,
    tokens,
    audio: checkpoints.length > 0 ? [] : files.filter(({ name }) => files.length === 1 || !isText(name)),
  };
}

/** A recording as the browser decodes it, its channels averaged. */
export async function decodeAudio(bytes: ArrayBuffer): Promise<Waveform> {
  const context = new AudioContext();
  try {
    const audio = await context.decodeAudioData(bytes);
    const samples = new Float32Array(audio.length);
    for (let channel = 0; channel < audio.numberOfChannels; channel++) {
      audio.getChannelData(channel).forEach((sample, i) => (samples[i] += sample / audio.numberOfChannels));
    }
    return { samples, sampleRate: audio.sampleRate };
  } finally {
    await context.close();
  }
}

/** Plays a recording until `stop` is called. */
export function playAudio({ samples, sampleRate }: Waveform): { stop: () => void } {
  const context = new AudioContext();
  const buffer = new AudioBuffer({ length: samples.length, sampleRate });
  buffer.copyToChannel(new Float32Array(samples), 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return { stop: () => void (context.state !== 'closed' && context.close()) };
}
