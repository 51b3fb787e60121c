import { shown } from '../errors.ts';
import type { ServerCore } from './core.ts';
import { DurableDialogue } from './durable-dialogue.ts';
import { checkCallId } from './durable/calls.ts';
import type { Gate } from './gateway.ts';
import { Refusal } from './refusal.ts';
import { sentAudio } from './sent-audio.ts';
import { SherpaDialogue } from './sherpa.ts';
import { hotwordsOf } from './vosk-phrases.ts';
import { VoskDialogue } from './vosk.ts';

/** @throws Refusal `bad-request` */
function heardOf(text: string | null): number {
  const heard = Number(text ?? 0);
  if (!/^\d+$/.test(text ?? '0') || !Number.isSafeInteger(heard)) {
    throw new Refusal('bad-request', {
      got: `heard=${shown(text)}`,
      expected: 'the number of the last result that came',
      remedy: 'Leave it out where none came.',
    });
  }
  return heard;
}

/** sherpa-onnx's protocol, at `/`: with `?call=` in the address for a call that survives its connection. */
export const sherpaGate = ({ parts: { tokens, modelRate, sharesCalls, limits } }: ServerCore): Gate => ({
  protocol: 'sherpa',
  speaker: (url) => {
    if (url.pathname !== '/') {
      throw new Refusal('bad-request', {
        got: `a WebSocket at ${url.pathname}`,
        expected: 'one at /',
        remedy: 'Leave the path out.',
      });
    }
    const audio = sentAudio(url.searchParams, modelRate);
    const id = url.searchParams.get('call');
    if (id === null) {
      return { speak: (line) => new SherpaDialogue(line, tokens, audio) };
    }
    checkCallId(id);
    const named = { ...audio, id, heard: heardOf(url.searchParams.get('heard')) };
    const here = { canMove: sharesCalls, maxSeconds: limits.maxCallSeconds };
    return { call: id, speak: (line) => new DurableDialogue(line, tokens, named, here) };
  },
});

/** vosk's protocol, at any path. */
export const voskGate = ({ parts: { tokens } }: ServerCore): Gate => ({
  protocol: 'vosk',
  speaker: () => ({ speak: (line) => new VoskDialogue(line, (phrases) => hotwordsOf(phrases, tokens)) }),
});
