import { describe, expect, it } from 'vitest';
import { ContextGraph } from '../../src/decoder/context-graph.ts';
import { CtcBeamDecoder } from '../../src/decoder/ctc-beam.ts';
import type { Decoder } from '../../src/decoder/decoder.ts';
import { TransducerJoiner } from '../../src/decoder/joiner.ts';
import { createDecoder } from '../../src/decoder/methods.ts';
import { ModifiedBeamSearchDecoder } from '../../src/decoder/modified-beam-search.ts';
import { GreedySearchDecoder } from '../../src/decoder/transducer.ts';
import { openModel } from '../../src/model/model.ts';
import { largestDifference } from '../support/close.ts';
import { GOLDEN_CASES, goldenModel, readGolden, readFixture } from '../support/fixtures.ts';
import { likeliest, plainJoiner } from '../support/joiner.ts';
import { randoms } from '../support/random.ts';

/** The bound for joiner and decoder; float32 sums of up to 64 products differ by some 3e-6. */
const JOINER_TOLERANCE = 1e-4;

interface Decoded {
  tokens: number[];
  frames: number[];
  log_prob?: number;
}

const result = ({ tokens }: Decoder) => ({
  tokens: tokens.map(({ id }) => id),
  frames: tokens.map(({ frame }) => frame),
});

describe.each(GOLDEN_CASES)('golden case %s', (name) => {
  const load = async () => {
    const golden = await readGolden(name);
    return { ...golden, joiner: await TransducerJoiner.load(openModel(golden.model)) };
  };

  it('decoder and joiner', async () => {
    const { joiner, array } = await load();
    const { joinerDim, vocabSize } = joiner;
    const [contexts, projected, encoderProj, logits] = await Promise.all(
      ['decoder_contexts', 'joiner_decoder_proj', 'joiner_encoder_proj', 'joiner_logits'].map(array),
    );
    for (let i = 0; i < 4; i++) {
      const proj = joiner.decoderProj([...contexts.data.subarray(2 * i, 2 * i + 2)]);
      const expected = projected.data.subarray(i * joinerDim, (i + 1) * joinerDim);
      expect(largestDifference(proj, expected)).toBeLessThanOrEqual(JOINER_TOLERANCE);
      for (let frame = 0; frame < 4; frame++) {
        const actual = joiner.logits(encoderProj.data.subarray(frame * joinerDim, (frame + 1) * joinerDim), proj);
        const start = (frame * 4 + i) * vocabSize;
        const want = logits.data.subarray(start, start + vocabSize);
        expect(largestDifference(actual, want)).toBeLessThanOrEqual(JOINER_TOLERANCE);
      }
    }
  });

  it.each([1, 4, Infinity])(
    'greedy and modified beam search over PyTorch’s projections, %d frames at a time',
    async (chunk) => {
      const { joiner, array } = await load();
      const decoded = JSON.parse(new TextDecoder().decode(await readFixture(`golden/${name}/decoded.json`))) as Record<
        string,
        Decoded[]
      >;
      const { data, shape } = await array('joiner_encoder_proj');
      const { data: lengths } = await array('encoder_out_lens');
      const options = { vocabSize: joiner.vocabSize, blankId: 0 };
      for (const [utterance, length] of lengths.entries()) {
        const start = utterance * shape[1] * shape[2];
        const frames = data.subarray(start, start + length * shape[2]);
        const run = (decoder: Decoder) => {
          const size = Math.min(chunk, length) * shape[2];
          for (let at = 0; at < frames.length; at += size) {
            decoder.accept(frames.subarray(at, at + size));
          }
          return decoder;
        };
        const { tokens, frames: at } = decoded.greedy_search[utterance];
        expect(result(run(new GreedySearchDecoder(joiner, options)))).toEqual({ tokens, frames: at });
        const beam = run(new ModifiedBeamSearchDecoder(joiner, options));
        const expected = decoded.modified_beam_search[utterance];
        expect(result(beam)).toEqual({ tokens: expected.tokens, frames: expected.frames });
        expect(beam.logProb).toBeCloseTo(expected.log_prob ?? NaN, 3);
      }
    },
  );
});

describe.each(['ctc_greedy', 'ctc_beam', 'greedy_search', 'modified_beam_search'] as const)('%s', (method) => {
  const options = { vocabSize: 4, blankId: 0 };
  /** Decodes frames of [token, probability] by the method; the transducer's joiner has no memory. */
  const decode = (frames: readonly (readonly [number, number])[], more: { unkId?: number; blankPenalty?: number }) => {
    const transducers = { greedy_search: GreedySearchDecoder, modified_beam_search: ModifiedBeamSearchDecoder };
    const decoder =
      method === 'greedy_search' || method === 'modified_beam_search'
        ? new transducers[method](plainJoiner(4), { ...options, ...more })
        : createDecoder(method, { ...options, ...more }, {});
    decoder.accept(likeliest(4, frames));
    return decoder;
  };

  it('takes the unknown token for a blank', () => {
    const frames = [1, 3, 3, 3].map((id) => [id, 0.9] as const);
    const decoder = decode(frames, { unkId: 3 });
    expect([result(decoder).tokens, decoder.trailingBlanks]).toEqual([[1], 3]);
    expect(result(decode(frames, {})).tokens.slice(0, 2)).toEqual([1, 3]);
  });

  it('counts the blanks behind the last token', () => {
    expect(decode([[0, 0.9]], {}).trailingBlanks).toBe(1);
    expect(
      decode(
        [1, 0, 2].map((id) => [id, 0.9]),
        {},
      ).trailingBlanks,
    ).toBe(0);
    expect(
      decode(
        [1, 0, 2, 0, 0].map((id) => [id, 0.9]),
        {},
      ).trailingBlanks,
    ).toBe(2);
  });

  it('hears what a blank penalty lets through', () => {
    const frames = [[0, 0.9] as const, [1, 0.9] as const];
    expect(result(decode(frames, {})).tokens).toEqual([1]);
    expect(result(decode(frames, { blankPenalty: 10 })).frames[0]).toBe(0);
  });
});

describe('hotwords', () => {
  it.each(['ctc_beam', 'modified_beam_search'] as const)('decide between what is nearly as likely: %s', (method) => {
    const heard = (hotwords?: ContextGraph) => {
      const options = { vocabSize: 4, blankId: 0, hotwords };
      const decoder =
        method === 'ctc_beam'
          ? createDecoder(method, options, {})
          : new ModifiedBeamSearchDecoder(plainJoiner(4), options);
      decoder.accept(Float32Array.from([0.04, 0.5, 0.44, 0.02, 0.94, 0.02, 0.02, 0.02].map(Math.log)));
      return result(decoder).tokens;
    };
    expect(heard()).toEqual([1]);
    expect(heard(new ContextGraph([{ tokens: [2], score: 1 }]))).toEqual([2]);
    expect(heard(new ContextGraph([{ tokens: [2, 3], score: 1 }]))).toEqual([1]);
  });
});

describe('modified beam search', () => {
  it('settles tokens that it never takes back', async () => {
    const joiner = await TransducerJoiner.load(openModel(await goldenModel('small')));
    const decoder = new ModifiedBeamSearchDecoder(joiner, { vocabSize: joiner.vocabSize, blankId: 0 });
    const frames = randoms(80 * joiner.joinerDim, 3, 3);
    let settled: number[] = [];
    for (let frame = 0; frame < 80; frame++) {
      decoder.accept(frames.subarray(frame * joiner.joinerDim, (frame + 1) * joiner.joinerDim));
      const now = result(decoder).tokens.slice(0, decoder.settled);
      expect(now.slice(0, settled.length)).toEqual(settled);
      settled = now;
    }
    expect(settled.length).toBeGreaterThan(5);
  });
});

/** Every alignment's probability, summed per token sequence: what a prefix beam search approximates. */
function bruteForce(probs: Float32Array, vocabSize: number): Map<string, number> {
  const totals = new Map<string, number>();
  const frames = probs.length / vocabSize;
  const walk = (frame: number, path: number[], logProb: number) => {
    if (frame === frames) {
      const tokens = path.filter((id, i) => id !== 0 && id !== path[i - 1]);
      totals.set(tokens.join(), (totals.get(tokens.join()) ?? 0) + Math.exp(logProb));
      return;
    }
    for (let id = 0; id < vocabSize; id++) {
      walk(frame + 1, [...path, id], logProb + probs[frame * vocabSize + id]);
    }
  };
  walk(0, [], 0);
  return totals;
}

describe('CTC beam search', () => {
  it('settles tokens that it never takes back', () => {
    const decoder = new CtcBeamDecoder({ vocabSize: 5, blankId: 0, maxActivePaths: 8 });
    const frames = randoms(200 * 5, 3, 1);
    let settled: number[] = [];
    let unsettled = 0;
    for (let frame = 0; frame < 200; frame++) {
      decoder.accept(frames.subarray(frame * 5, (frame + 1) * 5));
      const { tokens } = result(decoder);
      expect(tokens.slice(0, settled.length)).toEqual(settled);
      settled = tokens.slice(0, decoder.settled);
      unsettled += tokens.length - settled.length;
    }
    expect(settled.length).toBeGreaterThan(5);
    expect(unsettled).toBeGreaterThan(0);
  });

  it.each([1, 2, 3, 4, 5])('finds the most probable sequence of all alignments (seed %i)', (seed) => {
    const vocabSize = 4;
    const raw = randoms(7 * vocabSize, seed, 2);
    const logProbs = raw.map((value, i) => {
      const frame = raw.subarray(
        Math.floor(i / vocabSize) * vocabSize,
        Math.floor(i / vocabSize) * vocabSize + vocabSize,
      );
      return value - Math.log(frame.reduce((sum, each) => sum + Math.exp(each), 0));
    });
    // As wide as the search space, so that nothing is cut off.
    const decoder = new CtcBeamDecoder({ vocabSize, blankId: 0, maxActivePaths: 4000 });
    decoder.accept(logProbs);
    const [[best, probability]] = [...bruteForce(logProbs, vocabSize)].sort(([, a], [, b]) => b - a);
    expect(result(decoder).tokens.join()).toBe(best);
    expect(decoder.logProb).toBeCloseTo(Math.log(probability), 5);
  });
});

it('a joiner keeps the projections of contexts apart, however they are spelled', async () => {
  const load = async () => TransducerJoiner.load(openModel(await goldenModel('small')));
  const joiner = await load();
  const contexts = [
    [1, 12],
    [11, 2],
    [-1, 1],
    [-1, 11],
  ];
  expect(joiner.vocabSize).toBeGreaterThan(12);
  for (const context of contexts) {
    expect(joiner.decoderProj(context)).toEqual((await load()).decoderProj(context));
  }
});

it('a hotword that is not complete adds nothing to the log-probability', async () => {
  const joiner = await TransducerJoiner.load(openModel(await goldenModel('small')));
  const options = { vocabSize: joiner.vocabSize, blankId: 0 };
  const heard = (hotwords?: ContextGraph) => {
    const decoder = new ModifiedBeamSearchDecoder(joiner, { ...options, hotwords });
    decoder.accept(randoms(20 * joiner.joinerDim, 4, 3));
    return decoder;
  };
  const plain = heard();
  const last = plain.tokens[plain.tokens.length - 1].id;
  const never = plain.tokens.every(({ id }) => id !== 1) ? 1 : 2;
  const favouring = heard(new ContextGraph([{ tokens: [last, never], score: 0.01 }]));
  expect(favouring.tokens).toEqual(plain.tokens);
  expect(favouring.logProb).toBeCloseTo(plain.logProb, 5);
});

describe('CTC prefix beam search', () => {
  const logs = (...frames: number[][]) => Float32Array.from(frames.flat().map(Math.log));

  it('gives a token the time of its likeliest path', () => {
    const decoder = new CtcBeamDecoder({ vocabSize: 3, blankId: 0 });
    decoder.accept(logs([0.55, 0.44, 0.01], ...Array<number[]>(6).fill([0.93, 0.06, 0.01])));
    const [{ id, frame, logProb }] = decoder.tokens;
    expect([id, frame]).toEqual([1, 0]);
    expect(logProb).toBeCloseTo(Math.log(0.44), 5);
  });

  it('hears no silence where the blank penalty leaves none', () => {
    const frames = Array.from({ length: 10 }, (_, i) => (i % 2 ? [0.6, 0.01, 0.39] : [0.6, 0.39, 0.01]));
    for (const [blankPenalty, tokens, trailing] of [
      [5, 10, 0],
      [0, 0, 10],
    ]) {
      const decoder = new CtcBeamDecoder({ vocabSize: 3, blankId: 0, blankPenalty });
      decoder.accept(logs(...frames));
      expect(decoder.trailingBlanks).toBe(trailing);
      expect(decoder.tokens.length >= tokens).toBe(true);
    }
  });
});

describe('a segment that ends inside a token', () => {
  const vocabSize = 4;
  /** Frames in which one token is nearly certain. */
  const frames = (...ids: number[]) =>
    Float32Array.from(ids.flatMap((id) => [0, 1, 2, 3].map((k) => Math.log(k === id ? 0.97 : 0.01))));
  const options = { vocabSize, blankId: 0 };

  it.each(['ctc_greedy', 'ctc_beam'] as const)('does not hear it twice: %s', (method) => {
    for (const [head, tail, expected] of [
      [[1, 2, 2], [2, 2, 0, 2], [2]],
      [
        [1, 2, 0],
        [2, 3],
        [2, 3],
      ],
      [[0], [2], [2]],
    ]) {
      const first = createDecoder(method, options, {});
      first.accept(frames(...head));
      const second = createDecoder(method, options, {}, first.ending);
      second.accept(frames(...tail));
      expect(result(second).tokens).toEqual(expected);
    }
  });

  it.each(['ctc_greedy', 'ctc_beam'] as const)('a held token is no silence: %s', (method) => {
    const decoder = createDecoder(method, options, {});
    decoder.accept(frames(0, 2, 2, 2, 2));
    expect(decoder.trailingBlanks).toBe(0);
    decoder.accept(frames(0, 0));
    expect(decoder.trailingBlanks).toBe(2);
  });

  it.each(['greedy_search', 'modified_beam_search'] as const)(
    'keeps the context over empty segments: %s',
    async (method) => {
      const transducer = await TransducerJoiner.load(openModel(await goldenModel('small')));
      const search = { vocabSize: transducer.vocabSize, blankId: 0 };
      const values = randoms(40 * transducer.joinerDim, 4, 3);
      const first = createDecoder(method, search, { transducer });
      first.accept(values);
      const between = createDecoder(method, search, { transducer }, first.ending);
      expect(createDecoder(method, search, { transducer }, between.ending).ending.tokens).toEqual(first.ending.tokens);
      expect(first.ending.tokens).toEqual(result(first).tokens.slice(-2));
    },
  );
});

describe('ContextGraph', () => {
  const run = (graph: ContextGraph, tokens: number[]) => {
    let state = graph.root;
    return tokens.map((token) => {
      state = graph.advance(state, token);
      return state.matched?.tokens.join('') ?? '';
    });
  };
  /** What a path keeps of its bonus: an unfinished match counts for nothing. */
  const kept = (graph: ContextGraph, tokens: number[]) => {
    let state = graph.root;
    let sum = 0;
    for (const token of tokens) {
      const next = graph.favour(state, token);
      state = next.state;
      sum += next.score;
    }
    return sum - state.pending;
  };

  const graph = new ContextGraph([
    { tokens: [1, 2, 3], score: 1 },
    { tokens: [2, 3], score: 2 },
    { tokens: [1, 2, 1, 4], score: 0.5 },
  ]);

  it('keeps the score of a phrase that was completed, once: of those within one another that of the first', () => {
    expect(kept(graph, [9, 9])).toBe(0);
    expect(kept(graph, [1, 2])).toBe(0);
    expect(kept(graph, [1, 2, 9])).toBe(0);
    expect(kept(graph, [2, 3])).toBe(4);
    // [1, 2, 3] at 1 a token; [2, 3], which ends with it, counts no more.
    expect(kept(graph, [1, 2, 3])).toBe(3);
    expect(kept(graph, [1, 2, 3, 9, 2, 3])).toBe(3 + 4);
    expect(kept(graph, [1, 2, 1, 2, 3])).toBe(3);
    // sherpa-onnx's figures, at 1.5 a token: the shorter phrase completes, the rest begins none.
    const nested = (...phrases: number[][]) => new ContextGraph(phrases.map((tokens) => ({ tokens, score: 1.5 })));
    expect(kept(nested([1, 2], [1, 2, 3]), [1, 2, 3])).toBe(3);
    expect(kept(nested([1, 2], [2]), [1, 2])).toBe(3);
    expect(kept(nested([1, 2, 3], [2]), [1, 2, 3])).toBe(1.5);
  });

  it('never shows a path more than the phrase has earned, from token to token', () => {
    let state = graph.root;
    let sum = 0;
    const sums = [1, 2, 3, 9].map((token) => {
      const next = graph.favour(state, token);
      state = next.state;
      return (sum += next.score);
    });
    expect(sums).toEqual([1, 2, 3, 3]);
  });

  it('says which phrase ends inside of a longer one', () => {
    const nested = new ContextGraph([
      { tokens: [1, 2, 3, 4], score: 1 },
      { tokens: [2, 3], score: 1 },
    ]);
    expect(run(nested, [1, 2, 3, 4])).toEqual(['', '', '23', '1234']);
  });

  it('says which phrase ends where', () => {
    expect(run(graph, [1, 2, 1, 4, 2, 3])).toEqual(['', '', '', '1214', '', '23']);
  });
});
