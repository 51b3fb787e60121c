/**
 * A wake word in a page: listens until one of the phrases is said, then calls back. Phrases are text and can be
 * changed at any time.
 */
import { Microphone, RecognizerClient } from 'rill';

export interface WakeWordOptions {
  /** A worker whose file calls `serveRecognizer()`. */
  worker: Worker;
  /** The address of a model folder. */
  model: string;
  /** What to listen for, as text. */
  phrases: string[];
  /** Mean probability of its letters that a phrase must reach. */
  threshold?: number;
  onWake: (phrase: string, score: number) => void;
}

/** @returns how to change the phrases, and how to stop */
export async function listenForWakeWord({ worker, model, phrases, threshold = 0.5, onWake }: WakeWordOptions) {
  const keywords = (texts: string[]) => texts.map((text) => `${text} #${threshold}`).join('\n');
  const client = new RecognizerClient(worker);
  await client.load(model, { chunkFrames: 2 });
  let segment = 0;
  let told = 0;
  const stream = await client.createStream({
    keywords: keywords(phrases),
    onUpdate: ({ result }) => {
      if (result.segment !== segment) {
        segment = result.segment;
        told = 0;
      }
      for (const { keyword, score } of result.keywords.slice(told)) {
        onWake(keyword, score);
      }
      told = result.keywords.length;
    },
  });
  const microphone = await Microphone.open({ onAudio: (chunk) => stream.push(chunk) }).catch((error: unknown) => {
    client.dispose();
    throw error;
  });
  return {
    setPhrases: (texts: string[]) => stream.setKeywords(keywords(texts)),
    stop: () => {
      microphone.close();
      client.dispose();
    },
  };
}
