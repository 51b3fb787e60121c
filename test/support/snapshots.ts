import type { Listener } from '../../src/recognizer/listener.ts';
import type { OnlineStream } from '../../src/recognizer/stream.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';

/** A recognizer or a spotter, with what it tells of a stream after each chunk. */
export interface Heard<Told> {
  listener: Listener & { createStream: () => OnlineStream };
  /** What there is to tell of a stream, after a chunk or at its end. */
  tell: (stream: OnlineStream) => Told | undefined;
}

/** Where a stream is cut and goes on from a snapshot. */
export interface Cuts {
  /** Before the first sample. */
  first?: boolean;
  /** Behind each piece that has been taken: before its chunks are decoded, or after. */
  pieces?: 'taken' | 'decoded';
  /** Behind the end of the input, before the rest is decoded. */
  finished?: boolean;
}

/** All that is told of audio in pieces of so many samples; whenever it is cut, another stream goes on. */
export async function tellAll<Told>(
  { listener, tell }: Heard<Told>,
  { samples, sampleRate }: Waveform,
  piece: number,
  cuts: Cuts = {},
  restoredBy = listener,
): Promise<Told[]> {
  const told: Told[] = [];
  let stream = listener.createStream();
  const cut = async () => {
    const { bytes } = await listener.snapshot(stream);
    stream.dispose();
    stream = await restoredBy.restoreStream(bytes);
  };
  const add = () => {
    const next = tell(stream);
    if (next !== undefined) {
      told.push(next);
    }
  };
  const decode = async () => {
    while (listener.isReady(stream)) {
      await listener.decode(stream);
      add();
    }
  };
  try {
    if (cuts.first) {
      await cut();
    }
    for (let at = 0; at < samples.length; at += piece) {
      stream.acceptWaveform({ samples: samples.subarray(at, at + piece), sampleRate });
      if (cuts.pieces === 'taken') {
        await cut();
      }
      await decode();
      if (cuts.pieces === 'decoded') {
        await cut();
      }
    }
    stream.inputFinished();
    if (cuts.finished) {
      await cut();
    }
    await decode();
    add();
    return told;
  } finally {
    stream.dispose();
  }
}
