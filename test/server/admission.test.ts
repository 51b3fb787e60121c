import { describe, expect, it } from 'vitest';
import { Admission } from '../../src/server/admission.ts';
import { CallPlaces } from '../../src/server/call-places.ts';
import { resolveLimits } from '../../src/server/limits.ts';
import { Refusal } from '../../src/server/refusal.ts';
import { failure } from '../support/failure.ts';

function refusal(run: () => unknown): Refusal {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) {
      return error;
    }
  }
  return expect.fail('expected a refusal');
}

describe('admission', () => {
  it('lets in as many as there are places; a place is given back once', () => {
    const admission = new Admission(2);
    const [first] = [admission.enter(), admission.enter()];
    expect(refusal(() => admission.enter())).toMatchObject({ reason: 'full', status: 503, code: 'busy' });
    first.leave();
    first.leave();
    expect(admission.taken).toBe(1);
    admission.enter();
    expect(refusal(() => admission.enter()).reason).toBe('full');
  });

  it('has one place for all connections of a call, until the last has gone', () => {
    const admission = new Admission(1);
    const places = new CallPlaces(admission);
    const [lost, back] = [places.enter('a'), places.enter('a')];
    expect(refusal(() => places.enter('b')).reason).toBe('full');
    lost.leave();
    lost.leave();
    expect(admission.taken).toBe(1);
    back.leave();
    expect(admission.taken).toBe(0);
    const again = places.enter('a');
    // Said late, of one that has gone before.
    back.leave();
    places.enter('a').leave();
    expect(admission.taken).toBe(1);
    again.leave();
    admission.drain();
    expect(refusal(() => places.enter('a')).reason).toBe('draining');
  });

  it('lets nobody in once it drains, and says when all have gone', async () => {
    const admission = new Admission(2);
    const place = admission.enter();
    admission.drain();
    expect(refusal(() => admission.enter())).toMatchObject({ reason: 'draining', status: 503, closeCode: 1012 });
    let isEmpty = false;
    const empty = admission.empty().then(() => (isEmpty = true));
    await new Promise(setImmediate);
    expect(isEmpty).toBe(false);
    place.leave();
    await empty;
    await admission.empty();
  });

  it('has limits that are numbers above 0, and no others', async () => {
    expect(resolveLimits({ maxSessions: 3, idleSeconds: undefined })).toMatchObject({
      maxSessions: 3,
      idleSeconds: 30,
    });
    await failure('bad-argument', () => resolveLimits({ maxSessions: 0 }));
    await failure('bad-argument', () => resolveLimits({ idleSeconds: NaN }));
    await failure('bad-argument', () => resolveLimits({ ['maxSession' as 'maxSessions']: 3 }));
  });
});
