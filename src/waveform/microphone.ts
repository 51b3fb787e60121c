import { RillError } from '../errors.ts';

/** Samples from a microphone, at the rate that the device gives. */
export interface MicrophoneChunk {
  /** (n,) in [-1, 1], about 20 ms */
  samples: Float32Array<ArrayBuffer>;
  sampleRate: number;
  /** When they came from the audio thread, in milliseconds since the epoch: right after the last was captured. */
  capturedAt: number;
}

export interface MicrophoneOptions {
  onAudio: (chunk: MicrophoneChunk) => void;
  /** Called when nothing but silence has come for {@link silenceSeconds}, and again when sound comes back. */
  onSilence?: (silent: boolean) => void;
  /** Called when the device goes away while it is listened to. */
  onEnd?: () => void;
  silenceSeconds?: number;
  /** Which device and how; a mono channel without the browser's own noise treatment by default. */
  constraints?: MediaTrackConstraints;
}

const SILENCE_SECONDS = 2;
/** What a connected microphone in a quiet room exceeds: about -80 dB. */
const SILENCE_LEVEL = 1e-4;
const DEFAULT_CONSTRAINTS: MediaTrackConstraints = {
  channelCount: 1,
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: true,
};

/**
 * A microphone, captured by an AudioWorklet. Needs a page over https or on localhost; call it from a click, as browsers
 * let a page listen only after a gesture.
 *
 * ```ts
 * const microphone = await Microphone.open({ onAudio: (chunk) => stream.acceptWaveform(chunk) });
 * microphone.close();
 * ```
 */
export class Microphone {
  readonly #context: AudioContext;
  readonly #media: MediaStream;
  readonly #options: MicrophoneOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastSound = performance.now();
  #silent = false;
  #closed = false;

  private constructor(context: AudioContext, media: MediaStream, options: MicrophoneOptions) {
    this.#context = context;
    this.#media = media;
    this.#options = options;
  }

  /** @throws RillError `no-microphone` when there is none, when it is denied, or where pages may not ask. */
  static async open(options: MicrophoneOptions): Promise<Microphone> {
    const media = await openMedia({ ...DEFAULT_CONSTRAINTS, ...options.constraints });
    let microphone: Microphone | undefined;
    try {
      const context = new AudioContext({ latencyHint: 'interactive' });
      microphone = new Microphone(context, media, options);
      await context.audioWorklet.addModule(new URL('./capture.worklet.js', import.meta.url));
      await context.resume();
      microphone.#connect();
      return microphone;
    } catch (cause) {
      microphone?.close();
      media.getTracks().forEach((track) => {
        track.stop();
      });
      throw new RillError(
        'no-microphone',
        {
          got: `a microphone whose audio cannot be captured (${String(cause)})`,
          expected: 'an AudioWorklet',
          remedy: 'Check that the page may load capture.worklet.js (content-security policy: script-src).',
        },
        { cause },
      );
    }
  }

  /** Samples per second. */
  get sampleRate(): number {
    return this.#context.sampleRate;
  }

  /** Stops listening and gives the device back. */
  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      clearInterval(this.#timer);
      this.#media.getTracks().forEach((track) => {
        track.stop();
      });
      void this.#context.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #connect(): void {
    const { onEnd, silenceSeconds = SILENCE_SECONDS } = this.#options;
    const source = new MediaStreamAudioSourceNode(this.#context, { mediaStream: this.#media });
    const capture = new AudioWorkletNode(this.#context, 'rill-capture');
    capture.port.onmessage = ({ data }: MessageEvent<Float32Array<ArrayBuffer>>) => {
      this.#accept(data);
    };
    // Connected to the end because a node that nothing listens to may not run; what it gives out is silence.
    source.connect(capture).connect(this.#context.destination);
    this.#media.getAudioTracks()[0].addEventListener('ended', () => {
      if (!this.#closed) {
        this.close();
        onEnd?.();
      }
    });
    // A device that is muted or asleep may send nothing at all.
    this.#timer = setInterval(() => {
      this.#setSilent(performance.now() - this.#lastSound > 1000 * silenceSeconds);
    }, 250);
  }

  #accept(samples: Float32Array<ArrayBuffer>): void {
    if (this.#closed) {
      return;
    }
    if (samples.some((sample) => Math.abs(sample) > SILENCE_LEVEL)) {
      this.#lastSound = performance.now();
      this.#setSilent(false);
    }
    const capturedAt = performance.timeOrigin + performance.now();
    this.#options.onAudio({ samples, sampleRate: this.#context.sampleRate, capturedAt });
  }

  #setSilent(silent: boolean): void {
    if (silent !== this.#silent) {
      this.#silent = silent;
      this.#options.onSilence?.(silent);
    }
  }
}

async function openMedia(audio: MediaTrackConstraints): Promise<MediaStream> {
  const bad = (got: string, remedy: string, cause?: unknown) =>
    new RillError('no-microphone', { got, expected: 'a microphone that this page may listen to', remedy }, { cause });
  // Absent on pages that are not secure, whatever the types say.
  const devices = globalThis.navigator?.mediaDevices as MediaDevices | undefined;
  if (!devices) {
    throw bad('a page without access to media devices', 'Serve it over https, or from localhost.');
  }
  try {
    return await devices.getUserMedia({ audio });
  } catch (cause) {
    const name = cause instanceof DOMException ? cause.name : '';
    if (name === 'NotAllowedError' || name === 'SecurityError') {
      throw bad('permission refused', 'Allow the microphone in the address bar, then try again.', cause);
    }
    if (name === 'NotFoundError' || name === 'OverconstrainedError') {
      throw bad('no microphone', 'Connect one, then try again.', cause);
    }
    throw bad(
      `a microphone that does not open (${String(cause)})`,
      'Close other programs that use it, then try again.',
      cause,
    );
  }
}
