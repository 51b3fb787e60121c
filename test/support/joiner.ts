import type { TransducerJoiner } from '../../src/decoder/joiner.ts';

/** A joiner whose logits are the encoder's frames themselves, whatever was decoded before. */
export const plainJoiner = (vocabSize: number) =>
  ({
    vocabSize,
    joinerDim: vocabSize,
    contextSize: 2,
    decoderProj: () => new Float32Array(vocabSize),
    logits: (frame: Float32Array) => frame,
  }) as unknown as TransducerJoiner;

/** Log-probabilities of frames, each with its likeliest token and that one's probability. */
export const likeliest = (vocabSize: number, frames: readonly (readonly [id: number, probability: number])[]) =>
  Float32Array.from(
    frames.flatMap(([id, probability]) =>
      Array.from({ length: vocabSize }, (_, k) =>
        Math.log(k === id ? probability : (1 - probability) / (vocabSize - 1)),
      ),
    ),
  );
