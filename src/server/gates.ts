import type { ServerCore } from './core.ts';
import type { Gate } from './gateway.ts';
import { Refusal } from './refusal.ts';
import { SherpaDialogue, sentAudio } from './sherpa.ts';
import { hotwordsOf } from './vosk-phrases.ts';
import { VoskDialogue } from './vosk.ts';

/** sherpa-onnx's protocol, at `/`. */
export const sherpaGate = ({ parts: { tokens, modelRate } }: ServerCore): Gate => ({
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
    return (line) => new SherpaDialogue(line, tokens, audio);
  },
});

/** vosk's protocol, at any path. */
export const voskGate = ({ parts: { tokens } }: ServerCore): Gate => ({
  protocol: 'vosk',
  speaker: () => (line) => new VoskDialogue(line, (phrases) => hotwordsOf(phrases, tokens)),
});
