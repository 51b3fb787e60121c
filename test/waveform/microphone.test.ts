import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Microphone } from '../../src/waveform/microphone.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { failure } from '../support/failure.ts';

/** The browser's audio as far as a microphone uses it: a context that starts or waits, a track that may end. */
class FakeTrack extends EventTarget {
  readyState = 'live';

  stop(): void {
    this.readyState = 'ended';
  }
}

class FakeContext extends EventTarget {
  static starts = true;
  static last: FakeContext;
  state = 'suspended';
  readonly sampleRate = 48000;
  readonly destination = {};
  readonly audioWorklet = { addModule: vi.fn(async () => undefined) };

  constructor() {
    super();
    FakeContext.last = this;
  }

  resume = vi.fn(() => {
    if (!FakeContext.starts) {
      return new Promise<void>(() => undefined);
    }
    this.change('running');
    return Promise.resolve();
  });

  close(): Promise<void> {
    this.state = 'closed';
    return Promise.resolve();
  }

  change(state: string): void {
    this.state = state;
    this.dispatchEvent(new Event('statechange'));
  }
}

class FakeNode extends EventTarget {
  readonly port: { onmessage?: (event: { data: Float32Array }) => void } = {};

  connect<Node>(node: Node): Node {
    return node;
  }
}

describe('Microphone', () => {
  let track: FakeTrack;
  let captures: FakeNode[];

  beforeEach(() => {
    vi.useFakeTimers();
    track = new FakeTrack();
    captures = [];
    FakeContext.starts = true;
    const media = { getTracks: () => [track], getAudioTracks: () => [track] };
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: async () => media } });
    vi.stubGlobal('AudioContext', FakeContext);
    vi.stubGlobal('MediaStreamAudioSourceNode', FakeNode);
    vi.stubGlobal(
      'AudioWorkletNode',
      class extends FakeNode {
        constructor() {
          super();
          captures.push(this);
        }
      },
    );
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('gives up where audio does not start without a gesture, and gives the device back', async () => {
    FakeContext.starts = false;
    const opening = failure('no-microphone', () => Microphone.open({ onAudio: () => undefined }));
    await vi.advanceTimersByTimeAsync(3000);
    expect(await opening).toContain('gesture');
    expect(track.readyState).toBe('ended');
    expect(FakeContext.last.state).toBe('closed');
  });

  it.each([
    ['deviceId', { deviceId: { exact: 'gone' } }, 'no microphone that fits deviceId: {"exact":"gone"}'],
    ['sampleRate', { sampleRate: { min: 1e6 } }, 'no microphone that fits sampleRate: {"min":1000000}'],
    ['', {}, 'no microphone that fits the constraints'],
  ])('says which constraint no device fulfils: %s', async (constraint, constraints, message) => {
    const refusal = Object.assign(new DOMException('', 'OverconstrainedError'), { constraint });
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: () => Promise.reject(refusal) } });
    const opening = () => Microphone.open({ onAudio: () => undefined, constraints });
    expect(await failure('no-microphone', opening)).toContain(message);
  });

  it('goes on after an interruption', async () => {
    const microphone = await Microphone.open({ onAudio: () => undefined });
    FakeContext.last.change('interrupted');
    expect(FakeContext.last.state).toBe('running');
    microphone.close();
    const { calls } = FakeContext.last.resume.mock;
    const before = calls.length;
    FakeContext.last.change('suspended');
    await vi.advanceTimersByTimeAsync(1000);
    expect(calls.length).toBe(before);
  });

  it('says so when the device goes away, once, also while it is opened', async () => {
    const onEnd = vi.fn();
    await Microphone.open({ onAudio: () => undefined, onEnd });
    track.dispatchEvent(new Event('ended'));
    captures[0].dispatchEvent(new Event('processorerror'));
    expect(onEnd).toHaveBeenCalledTimes(1);
    track.readyState = 'ended';
    expect(await failure('no-microphone', () => Microphone.open({ onAudio: () => undefined }))).toContain('went away');
  });

  it('tells of silence after two seconds, and of sound at once', async () => {
    const heard: Waveform[] = [];
    const onSilence = vi.fn();
    const microphone = await Microphone.open({ onAudio: (chunk) => heard.push(chunk), onSilence });
    await vi.advanceTimersByTimeAsync(1900);
    expect(onSilence).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(500);
    expect(onSilence.mock.calls).toEqual([[true]]);
    captures[0].port.onmessage?.({ data: new Float32Array(960).fill(0.1) });
    expect(onSilence.mock.calls).toEqual([[true], [false]]);
    expect(heard).toMatchObject([{ sampleRate: 48000 }]);
    microphone.close();
  });

  it('tells of silence where timers run once a second', async () => {
    const onSilence = vi.fn();
    const microphone = await Microphone.open({ onAudio: () => undefined, onSilence });
    for (let second = 0; second < 5; second++) {
      vi.setSystemTime(Date.now() + 1000);
      await vi.advanceTimersByTimeAsync(250);
    }
    await vi.advanceTimersByTimeAsync(2000);
    expect(onSilence).toHaveBeenCalledWith(true);
    microphone.close();
  });

  it('is given up by a signal while the user is asked, and what is opened then is closed', async () => {
    const cancel = new AbortController();
    let answer: (media: object) => void = () => undefined;
    const asking = new Promise<object>((resolve) => (answer = resolve));
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: () => asking } });
    const opening = Microphone.open({ onAudio: () => undefined, signal: cancel.signal });
    cancel.abort(new Error('changed my mind'));
    await expect(opening).rejects.toThrow('changed my mind');
    answer({ getTracks: () => [track], getAudioTracks: () => [track] });
    await vi.advanceTimersByTimeAsync(0);
    expect(track.readyState).toBe('ended');
  });

  it('is given up by a signal while it starts, at an address of one’s own', async () => {
    const cancel = new AbortController();
    FakeContext.starts = false;
    const opening = Microphone.open({ onAudio: () => undefined, signal: cancel.signal, workletUrl: '/capture.js' });
    const outcome = expect(opening).rejects.toThrow('changed my mind');
    await vi.advanceTimersByTimeAsync(100);
    cancel.abort(new Error('changed my mind'));
    await vi.advanceTimersByTimeAsync(10);
    await outcome;
    expect(track.readyState).toBe('ended');
    expect(FakeContext.last.audioWorklet.addModule).toHaveBeenCalledWith('/capture.js');
  });
});
