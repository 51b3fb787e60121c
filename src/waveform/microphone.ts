import { RillError, unlessAborted } from '../errors.ts';
import type { Waveform } from './waveform.ts';

/** How a microphone is listened to. */
export interface MicrophoneOptions {
  /**
   * Called with each piece of about 20 ms, at the rate that the device gives, and when it came from the audio thread: right
   * after its last sample was captured.
   */
  onAudio: (chunk: Waveform) => void;
  /** Called when nothing but silence has come for {@link silenceSeconds}, and again when sound comes back. */
  onSilence?: (silent: boolean) => void;
  /** Called when the device goes away while it is listened to. */
  onEnd?: () => void;
  /** 2 by default. */
  silenceSeconds?: number;
  /** Gives up opening, while the user is asked, too; what it is aborted with is thrown. */
  signal?: AbortSignal;
  /** The address of `capture.worklet.js`, where a bundler does not find it by itself (esbuild). */
  workletUrl?: string | URL;
  /** Which device and how; a mono channel without the browser's own noise treatment by default. */
  constraints?: MediaTrackConstraints;
}

const SILENCE_SECONDS = 2;
/** How long the audio may take to start: where a gesture is missing, Chrome never tells. */
const START_MS = 2000;
/** What a connected microphone in a quiet room exceeds: about -80 dB. */
const SILENCE_LEVEL = 1e-4;
const CHECK_MS = 250;
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
  #lastSound = 0;
  #silent = false;
  #closed = false;

  private constructor(context: AudioContext, media: MediaStream, options: MicrophoneOptions) {
    this.#context = context;
    this.#media = media;
    this.#options = options;
  }

  /**
   * @throws RillError `no-microphone` when there is none, when it is denied, where pages may not ask, and where audio does
   * not start without a gesture; what the signal is aborted with.
   */
  static async open(options: MicrophoneOptions): Promise<Microphone> {
    const { signal, workletUrl = new URL('./capture.worklet.js', import.meta.url) } = options;
    signal?.throwIfAborted();
    const opening = openMedia({ ...DEFAULT_CONSTRAINTS, ...options.constraints });
    const media = await unlessAborted(opening, signal, stop);
    let microphone: Microphone | undefined;
    try {
      const context = new AudioContext({ latencyHint: 'interactive' });
      microphone = new Microphone(context, media, options);
      await context.audioWorklet.addModule(workletUrl);
      await unlessAborted(start(context), signal);
      microphone.#connect();
      return microphone;
    } catch (cause) {
      microphone?.close();
      stop(media);
      signal?.throwIfAborted();
      throw cause instanceof RillError
        ? cause
        : bad(
            `a microphone whose audio cannot be captured (${String(cause)})`,
            'Check that the page may load capture.worklet.js (content-security policy: script-src).',
            cause,
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
      stop(this.#media);
      // A context that is closed already says so.
      this.#context.close().catch(() => undefined);
    }
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #connect(): void {
    const { silenceSeconds = SILENCE_SECONDS } = this.#options;
    const [track] = this.#media.getAudioTracks();
    if (track.readyState === 'ended') {
      throw bad('a microphone that went away while it was opened', 'Connect it again, then try again.');
    }
    const source = new MediaStreamAudioSourceNode(this.#context, { mediaStream: this.#media });
    const capture = new AudioWorkletNode(this.#context, 'rill-capture');
    capture.port.onmessage = ({ data }: MessageEvent<Float32Array<ArrayBuffer>>) => {
      this.#accept(data);
    };
    // Connected to the end because a node that nothing listens to may not run; what it gives out is silence.
    source.connect(capture).connect(this.#context.destination);
    const end = () => {
      if (!this.#closed) {
        this.close();
        this.#options.onEnd?.();
      }
    };
    track.addEventListener('ended', end);
    capture.addEventListener('processorerror', end);
    // A call, a lock screen or another output device interrupts the audio; when that is over it has to be asked to go on.
    const goOn = () => {
      if (!this.#closed && this.#context.state !== 'running') {
        this.#context.resume().catch(() => undefined);
      }
    };
    this.#context.addEventListener('statechange', goOn);
    // A device that is muted or asleep may send nothing at all.
    this.#lastSound = performance.now();
    this.#timer = setInterval(() => {
      goOn();
      // Behind what has come while the page stood still.
      setTimeout(() => {
        this.#setSilent(performance.now() - this.#lastSound > 1000 * silenceSeconds);
      }, 0);
    }, CHECK_MS);
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
    if (silent !== this.#silent && !this.#closed) {
      this.#silent = silent;
      this.#options.onSilence?.(silent);
    }
  }
}

function stop(media: MediaStream): void {
  media.getTracks().forEach((track) => {
    track.stop();
  });
}

const bad = (got: string, remedy: string, cause?: unknown) =>
  new RillError('no-microphone', { got, expected: 'a microphone that this page may listen to', remedy }, { cause });

/** Starts the audio. @throws RillError `no-microphone` where it waits for a gesture */
async function start(context: AudioContext): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise((resolve) => (timer = setTimeout(resolve, START_MS)));
  await Promise.race([context.resume(), patience]);
  clearTimeout(timer);
  if (context.state !== 'running') {
    throw bad('audio that does not start', 'Open the microphone from a click or another gesture of the user.');
  }
}

async function openMedia(audio: MediaTrackConstraints): Promise<MediaStream> {
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
    if (name === 'OverconstrainedError') {
      throw bad(
        `no microphone that fits ${describe(audio, cause)}`,
        'It may be unplugged, or its deviceId have changed: choose one of navigator.mediaDevices.enumerateDevices(), or leave the constraint out.',
        cause,
      );
    }
    if (name === 'NotFoundError') {
      throw bad('no microphone', 'Connect one, then try again.', cause);
    }
    throw bad(
      `a microphone that does not open (${String(cause)})`,
      'Close other programs that use it, then try again.',
      cause,
    );
  }
}

/** The constraint that no device fulfils, where the browser names it, with what was asked for. */
function describe(constraints: MediaTrackConstraints, cause: unknown): string {
  const name = cause instanceof DOMException && 'constraint' in cause ? String(cause.constraint) : '';
  const asked = Object.entries(constraints).find(([key]) => key === name);
  return asked ? `${name}: ${JSON.stringify(asked[1])}` : 'the constraints';
}
