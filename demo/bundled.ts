/** The model that comes with the page, and its recordings. */
import type { ModelFiles } from 'rill-asr';
import type { ModelChoice } from './model.ts';

const FOLDER = 'wake-words/';

export const BUNDLED: ModelChoice = { source: FOLDER, name: 'wake-words' };

async function fetchBundled(name: string): Promise<Response> {
  const response = await fetch(FOLDER + name);
  if (!response.ok) {
    throw new Error(`${response.url}: ${response.status}`);
  }
  return response;
}

/** The bundled model's tokens and keywords, where a model has as many tokens. */
export async function borrowTokens({ 'config.json': config }: ModelFiles): Promise<Partial<ModelFiles>> {
  const [tokens, keywords] = await Promise.all(
    ['tokens.txt', 'keywords.txt'].map(async (name) => (await fetchBundled(name)).text()),
  );
  const { vocab_size: count } = JSON.parse(config) as { vocab_size?: number };
  return tokens.trim().split('\n').length === count ? { 'tokens.txt': tokens, 'keywords.txt': keywords } : {};
}

/** A recording that can be heard. */
export interface Recording {
  name: string;
  load: () => Promise<ArrayBuffer>;
  /** What is said in it, where that is known. */
  label?: string;
}

interface Labels {
  clips: { file: string; label: string }[];
}

export async function bundledRecordings(): Promise<Recording[]> {
  const labels = (await (await fetchBundled('samples/labels.json')).json()) as Labels;
  // Parts of a longer recording are listed too, under no file of their own.
  const own = labels.clips.filter(({ file }) => file.endsWith('.wav'));
  const clips = [{ file: 'stream.wav', label: own.map(({ label }) => label).join(' ') }, ...own];
  return clips.map(({ file, label }) => ({
    name: file.replace('.wav', ''),
    load: async () => (await fetchBundled(`samples/${file}`)).arrayBuffer(),
    label: label.replaceAll('_', ' '),
  }));
}
