import { expect, it } from 'vitest';
import { Journal } from '../../src/server/journal.ts';
import { Refusal } from '../../src/server/refusal.ts';
import { said } from '../support/line.ts';

/** A journal, what it wrote, and what it counted. */
function open(logsText: boolean) {
  const written: string[] = [];
  const write = (fields: object, message: string) => void written.push(`${message} ${JSON.stringify(fields)}`);
  const counted: string[] = [];
  const metrics = {
    started: (protocol: string) => void counted.push(protocol),
    ended: (protocol: string, end: string) => void counted.push(`${protocol} ${end}`),
  };
  return { journal: new Journal({ info: write, warn: write, error: write }, metrics, logsText), written, counted };
}

it.each([true, false])('the journal has what was said where it is asked for (%s), and nowhere else', (logsText) => {
  const { journal, written, counted } = open(logsText);
  const entry = journal.begin('vosk', '::1');
  expect(journal.counts).toEqual({ sherpa: 0, vosk: 1, http: 0 });
  entry.heard(said('my secret', { isFinal: true }));
  entry.listened(1.5);
  entry.end({ code: 1000 });
  expect(written.join('\n').includes('my secret')).toBe(logsText);
  expect(written.at(-1)).toContain('"audioSeconds":1.5');
  journal.begin('http', undefined).end({ error: new Error('broken') });
  const complaint = { got: 'much', expected: 'less', remedy: 'Send less.' };
  journal.begin('http', undefined).end({ error: new Refusal('too-large', complaint) });
  expect(counted).toEqual(['vosk', 'vosk finished', 'http', 'http failed', 'http', 'http too-large']);
  expect(journal.counts).toEqual({ sherpa: 0, vosk: 0, http: 0 });
});
