import { describe, expect, it } from 'vitest';
import { openModel, type Model } from '../../../src/model/model.ts';
import type { TeachOptions, TeachProgress } from '../../../src/training/teach/options.ts';
import { requireTeachable, withPhraseOdds, withPhraseToken } from '../../../src/training/teach/phrase-token.ts';
import { teachPhrase } from '../../../src/training/teach/teach.ts';
import { unteachPhrase } from '../../../src/training/teach/unteach.ts';
import { failure } from '../../support/failure.ts';
import { lessonTokens, noisyTake, tinyLesson } from '../../support/teach.ts';

describe('teachPhrase', () => {
  it('gives a plain model folder that knows the phrase, by CTC alone; unteachPhrase takes it out', async () => {
    const events: TeachProgress[] = [];
    const model = openModel(await teachPhrase({ ...tinyLesson, onProgress: (event) => events.push(event) }));
    expect(model.sizes).toMatchObject({ vocabSize: 5, hasCtc: true });
    expect(model.sizes.transducer).toBeUndefined();
    expect(model.config.phraseIds).toEqual([4]);
    expect(model.tokens?.text([4])).toBe('hey rill');
    expect(model.keywords).toBe('a b ▁ @ab\nhey▁rill▁ #0.2\n');
    // The first layer stays as it is; the last and the head are trained.
    const changes = async (name: string) => {
      const [before, after] = await Promise.all([tinyLesson.model.weights.read(name), model.weights.read(name)]);
      return after.subarray(0, before.length).some((value, i) => value !== before[i]);
    };
    expect(await changes('encoder.encoder_embed.out.weight')).toBe(false);
    expect(await changes('encoder.encoder.layers.0.lstm.weight_hh_l0')).toBe(false);
    expect(await changes('encoder.encoder.layers.1.lstm.weight_hh_l0')).toBe(true);
    expect(await changes('ctc_output.1.weight')).toBe(true);
    expect(events.filter(({ stage }) => stage === 'prepare').at(-1)).toEqual({ stage: 'prepare', done: 4, total: 4 });
    expect(events.filter(({ stage }) => stage === 'train')).toHaveLength(3);

    await failure('bad-argument', () => teachPhrase({ ...tinyLesson, model }));
    const left = openModel(await unteachPhrase(model, 'Hey Rill'));
    expect(left.tokens?.toString()).toBe(lessonTokens.toString());
    expect([left.keywords, left.config.phraseIds]).toEqual(['a b ▁ @ab\n', undefined]);
    const biases = await Promise.all([left, model].map(({ weights }) => weights.read('ctc_output.1.bias')));
    expect(biases[0]).toEqual(biases[1].slice(0, 4));
    await failure('bad-argument', () => unteachPhrase(left, 'hey rill'));
  });

  it('gives what a phrase says fewer odds, and nothing else', async () => {
    const model = await withPhraseToken(requireTeachable(tinyLesson.model), 'hey rill');
    const biases = ({ weights }: Model) => weights.read('ctc_output.1.bias');
    const [before, after] = await Promise.all([model, await withPhraseOdds(model, 1 / 3)].map(biases));
    expect([...after.subarray(0, 4)]).toEqual([...before.subarray(0, 4)]);
    expect(after[4] - before[4]).toBeCloseTo(-Math.log(3), 5);
  });

  it('ends when it is aborted, with the signal’s reason', async () => {
    const aborting = new AbortController();
    const reason = new Error('enough');
    const onProgress = () => {
      aborting.abort(reason);
    };
    await expect(teachPhrase({ ...tinyLesson, signal: aborting.signal, onProgress })).rejects.toBe(reason);
  });

  it('refuses what cannot be learned from', async () => {
    const refused = (given: Partial<TeachOptions>) =>
      failure('bad-argument', () => teachPhrase({ ...tinyLesson, ...given }));
    const recording = noisyTake(1);
    expect(await refused({ phrase: ' ' })).toContain('phrase');
    expect(await refused({ recordings: [recording] })).toContain('1 recordings');
    expect(await refused({ speech: [recording] })).toContain('speech');
    expect(await refused({ rehearsal: [{ waveform: recording, text: 'zebra' }] })).toContain('zebra');
    expect(await refused({ steps: 0 })).toContain('steps');
    const silent = { ...recording, samples: new Float32Array(16_000) };
    const recordings = [recording, silent, recording];
    expect(await failure('bad-audio', () => teachPhrase({ ...tinyLesson, recordings }))).toContain('recording 2');
    await failure('bad-model', () => teachPhrase({ ...tinyLesson, model: { ...tinyLesson.model, tokens: undefined } }));
  });
});
