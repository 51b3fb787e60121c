import type { SessionStep } from '../recognizer/sessions.ts';
import { loadPromClient } from './packages.ts';
import type { RefusalReason } from './refusal.ts';

/** How a client speaks to the server. */
export type Protocol = 'sherpa' | 'vosk' | 'http';

/** What is asked when metrics are read. */
export interface Gauges {
  sessions: () => Readonly<Record<Protocol, number>>;
  /** Seconds that wait in each call. */
  backlogs: () => readonly number[];
  isReady: () => boolean;
}

/** What a server counts. */
export interface Metrics {
  started(protocol: Protocol): void;
  ended(protocol: Protocol, end: string): void;
  stepped(step: SessionStep): void;
  refused(reason: RefusalReason): void;
  lost(): void;
  /** A call has come back. */
  resumed(): void;
  /** A call could not be saved. */
  notSaved(): void;
  /** As Prometheus reads it. */
  text(): Promise<string>;
  readonly contentType: string;
}

const STEP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.16, 0.25, 0.5, 1, 2.5];
/** The real-time factor is that of the last so many seconds of audio, older ones count less and less. */
const FACTOR_SECONDS = 60;

/** @throws RillError `bad-argument` without the package `prom-client` */
export async function openMetrics({ sessions, backlogs, isReady }: Gauges): Promise<Metrics> {
  const { Registry, Counter, Gauge, Histogram, collectDefaultMetrics } = await loadPromClient();
  const registers = [new Registry()];
  collectDefaultMetrics({ register: registers[0] });
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(value());
      },
    });
  new Gauge({
    ...{ name: 'rill_sessions', help: 'Clients that are connected.', labelNames: ['protocol'], registers },
    collect() {
      Object.entries(sessions()).forEach(([protocol, count]) => {
        this.set({ protocol }, count);
      });
    },
  });
  gauge('rill_ready', 'Whether calls are taken: 1 or 0.', () => (isReady() ? 1 : 0));
  gauge('rill_backlog_seconds', 'Audio that waits to be decoded, all calls together.', () =>
    backlogs().reduce((sum, seconds) => sum + seconds, 0),
  );
  gauge('rill_backlog_seconds_max', 'Audio that waits in the call where most waits.', () => Math.max(0, ...backlogs()));
  let factor = 0;
  gauge('rill_real_time_factor', 'Seconds of the engine for a second of audio, lately.', () => factor);
  const started = new Counter({
    ...{ name: 'rill_sessions_started_total', help: 'Clients that came.', labelNames: ['protocol'], registers },
  });
  const ended = new Counter({
    ...{ name: 'rill_sessions_ended_total', help: 'Clients that went, and how.', registers },
    labelNames: ['protocol', 'end'],
  });
  const refusals = new Counter({
    ...{ name: 'rill_refusals_total', help: 'Clients that got no further, and why.', registers },
    labelNames: ['reason'],
  });
  const losses = new Counter({ name: 'rill_device_losses_total', help: 'Devices that were lost.', registers });
  const resumptions = new Counter({
    ...{ name: 'rill_calls_resumed_total', help: 'Calls that came back, from here or elsewhere.', registers },
  });
  const unsaved = new Counter({
    ...{ name: 'rill_call_save_failures_total', help: 'Saves of calls that failed.', registers },
  });
  const audio = new Counter({ name: 'rill_audio_seconds_total', help: 'Seconds of audio decoded.', registers });
  const steps = new Histogram({
    ...{ name: 'rill_step_seconds', help: 'How long the engine takes for a step.', buckets: STEP_BUCKETS, registers },
  });
  return {
    started: (protocol) => {
      started.inc({ protocol });
    },
    ended: (protocol, end) => {
      ended.inc({ protocol, end });
    },
    stepped: ({ audioSeconds, engineMs }) => {
      audio.inc(audioSeconds);
      steps.observe(engineMs / 1000);
      if (audioSeconds > 0) {
        const kept = Math.exp(-audioSeconds / FACTOR_SECONDS);
        factor = kept * factor + (1 - kept) * (engineMs / 1000 / audioSeconds);
      }
    },
    refused: (reason) => {
      refusals.inc({ reason });
    },
    lost: () => {
      losses.inc();
    },
    resumed: () => {
      resumptions.inc();
    },
    notSaved: () => {
      unsaved.inc();
    },
    text: () => registers[0].metrics(),
    contentType: registers[0].contentType,
  };
}
