/**
 * A wake word in a page: listens until one of the phrases is said, then calls back. Phrases are text and can be
 * changed at any time.
 */
import { Microphone, RecognizerClient } from 'rill-asr';

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
  /** Called when it can listen no longer: the worker has failed, or the microphone has gone. */
  onEnd?: (error?: Error) => void;
}

/** @returns how to change the phrases, and how to stop */
export async function listenForWakeWord({ worker, model, phrases, threshold = 0.5, onWake, onEnd }: WakeWordOptions) {
  const keywords = (texts: string[]) => texts.map((text) => `${text} #${threshold}`).join('\n');
  const client = new RecognizerClient(worker);
  let microphone: Microphone | undefined;
  let isOver = false;
  const stop = () => {
    isOver = true;
    microphone?.close();
    client.dispose();
  };
  const end = (error?: Error) => {
    // The worker's end is told to its stream, too.
    if (!isOver) {
      stop();
      onEnd?.(error);
    }
  };
  try {
    await client.load(model, { chunkFrames: 2 });
    let segment = 0;
    let told = 0;
    const stream = await client.createStream({
      keywords: keywords(phrases),
      onError: end,
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
    microphone = await Microphone.open({ onAudio: (chunk) => stream.push(chunk), onEnd: end });
    if (isOver) {
      microphone.close();
    }
    return { setPhrases: (texts: string[]) => stream.setKeywords(keywords(texts)), stop };
  } catch (error) {
    stop();
    throw error;
  }
}
