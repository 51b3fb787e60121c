import { expect, it } from 'vitest';
import { isSamePhrase, withLesson, withoutLesson } from '../../demo/teach/lessons.ts';
import { EndOfTake } from '../../demo/teach/end-of-take.ts';
import { RecentAudio } from '../../demo/teach/recent-audio.ts';
import { TakeList } from '../../demo/teach/take-list.ts';
import { TimeLeft } from '../../demo/teach/time-left.ts';

const RATE = 16000;

/** Sound of some level, a tone of 200 Hz, seconds long. */
const tone = (seconds: number, level: number) =>
  Float32Array.from({ length: seconds * RATE }, (_, i) => level * Math.sin((2 * Math.PI * 200 * i) / RATE));

const join = (...parts: Float32Array[]) => ({
  samples: Float32Array.from(parts.flatMap((part) => [...part])),
  sampleRate: RATE,
});
const phrase = (level = 0.3, seconds = 0.8) => join(tone(0.5, 1e-4), tone(seconds, level), tone(0.5, 1e-4));

/** Hands a recording to the detector as a microphone would. @returns the seconds after which the take is over */
function endOf({ samples }: { samples: Float32Array }): number | undefined {
  const end = new EndOfTake();
  const piece = 0.02 * RATE;
  for (let at = 0; at < samples.length; at += piece) {
    if (end.accept({ samples: samples.subarray(at, at + piece), sampleRate: RATE })) {
      return (at + piece) / RATE;
    }
  }
  return undefined;
}

it('ends a take in the pause behind what is said, not in one within it, and without a word after five seconds', () => {
  const noise = tone(2, 1e-3);
  expect(endOf(join(noise, tone(0.4, 0.3), tone(0.3, 1e-3), tone(0.4, 0.2), noise))).toBeCloseTo(3.9, 1);
  // The button's click begins nothing.
  expect(endOf(join(tone(0.06, 0.5), tone(6, 1e-3)))).toBeCloseTo(5, 1);
  expect(endOf(join(tone(7, 0.3)))).toBeCloseTo(5, 1);
});

it('lists takes, refuses those that cannot teach, and lets them go when others come', () => {
  const takes = new TakeList(['silent', 'clipped', 'too-short', 'too-long']);
  expect(takes.add([{ waveform: phrase() }, { waveform: phrase(0.3, 0.1), name: 'short.wav' }])).toBe(1);
  expect(takes.all.map(({ name, problem }) => [name, problem])).toEqual([
    [undefined, undefined],
    ['short.wav', 'too-short'],
  ]);
  expect(takes.all[0].start).toBeCloseTo(0.5, 1);
  expect(takes.all[0].end).toBeCloseTo(1.3, 1);
  expect(takes.add([{ waveform: phrase(0) }, { waveform: phrase(1.2) }, { waveform: phrase(0.3, 4) }])).toBe(3);
  expect(takes.all.map(({ problem }) => problem)).toEqual([undefined, 'silent', 'clipped', 'too-long']);
  expect(takes.add([{ waveform: phrase(0.2) }])).toBe(0);
  expect(takes.fit.length).toBe(2);
  takes.remove(takes.all[0].id);
  expect(takes.fit.length).toBe(1);
  // What must not wake it may be of any length.
  const others = new TakeList(['silent']);
  expect(others.add([{ waveform: phrase(0.3, 4) }, { waveform: phrase(0) }])).toBe(1);
});

it('cuts sound from the last seconds of a stream', () => {
  const recent = new RecentAudio();
  for (let second = 0; second < 30; second++) {
    recent.add({ samples: new Float32Array(100).fill(second), sampleRate: 100 });
  }
  const { samples, sampleRate } = recent.cut(27.5, 29.2);
  expect(sampleRate).toBe(100);
  expect([...samples]).toEqual([
    ...Array<number>(50).fill(27),
    ...Array<number>(100).fill(28),
    ...Array<number>(20).fill(29),
  ]);
  // Of what is gone there is nothing, of what has yet to come neither.
  expect(recent.cut(18, 21).samples.length).toBe(100);
  expect(recent.cut(29.5, 31).samples.length).toBe(50);
});

it('tells the time left from the pace of the last steps, the first ones aside', () => {
  const left = new TimeLeft();
  left.add(1, 9000);
  left.add(2, 9500);
  expect(left.seconds(100)).toBeUndefined();
  for (let step = 3; step <= 50; step++) {
    left.add(step, 9500 + 500 * (step - 2));
  }
  expect(left.seconds(100)).toBeCloseTo(25);
  left.clear();
  expect(left.seconds(100)).toBeUndefined();
});

it('keeps one lesson of each phrase, whatever its case', () => {
  const lesson = (text: string) => ({ phrase: text, takes: [phrase()], negatives: [] });
  const lessons = withLesson(withLesson([lesson('hey rill')], lesson('good night')), lesson('Hey Rill'));
  expect(lessons.map((each) => each.phrase)).toEqual(['good night', 'Hey Rill']);
  expect(withoutLesson(lessons, 'hey rill').map((each) => each.phrase)).toEqual(['good night']);
  expect(isSamePhrase('hey rill', 'hey real')).toBe(false);
});
