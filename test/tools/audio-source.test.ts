import { describe, expect, it } from 'vitest';
import { RillError } from '../../src/errors.ts';
import { AudioSource, receiveAudio } from '../../tools/runtime/audio-source.ts';
import { failure } from '../support/failure.ts';

const chunk = (value: number) => ({ samples: Float32Array.of(value, -value), sampleRate: 8000 });

/** A source and what arrives of it on the other side. */
function connect(source: AudioSource) {
  return receiveAudio(async () => new Uint8Array(await source.next()));
}

describe('sound on its way into a page', () => {
  it.each(['a list', 'a generator'])('arrives piece by piece from %s', async (kind) => {
    const pieces = [chunk(0.5), chunk(0.25)];
    async function* generator() {
      yield* pieces;
    }
    const received = [];
    for await (const piece of connect(new AudioSource(kind === 'a list' ? pieces : generator()))) {
      received.push(piece);
    }
    expect(received).toEqual(pieces);
  });

  it('brings the error that reading it ended with', async () => {
    async function* broken() {
      yield chunk(1);
      throw new RillError('bad-audio', { got: 'half a file', expected: 'all of it', remedy: 'Copy it again.' });
    }
    const received = connect(new AudioSource(broken()));
    await received.next();
    expect(await failure('bad-audio', () => received.next())).toContain('half a file');
  });

  it('ends its source where nobody wants more', async () => {
    let ended = false;
    async function* endless() {
      try {
        for (;;) {
          yield chunk(1);
        }
      } finally {
        ended = true;
      }
    }
    const source = new AudioSource(endless());
    await source.next();
    source.close();
    await Promise.resolve();
    expect(ended).toBe(true);
  });
});
