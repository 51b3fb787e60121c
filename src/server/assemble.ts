import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';
import { openNodeEngine } from '../node/engine.ts';
import { Access } from './access.ts';
import { Admission } from './admission.ts';
import { Calls, type CallWatcher } from './calls.ts';
import { ServerCore } from './core.ts';
import { MemoryCallStore } from './durable/store.ts';
import { Journal } from './journal.ts';
import type { ServerLimits } from './limits.ts';
import type { ServerLog } from './log.ts';
import { openMetrics } from './metrics.ts';
import type { ServerOptions } from './options.ts';
import { RareLine } from './rare-line.ts';

/** Calls whose clients are away that a server keeps by itself, for each that it hears. */
const KEPT_CALLS = 10;

/**
 * Loads the model, and puts together what all protocols share.
 *
 * @returns it, and what rejects when the last device is lost
 */
export async function assemble(
  options: ServerOptions,
  model: Model,
  limits: Readonly<ServerLimits>,
  log: ServerLog,
): Promise<{ core: ServerCore; givenUp: Promise<never> }> {
  const admission = new Admission(limits.maxSessions);
  let giveUp: (error: unknown) => void = () => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  givenUp.catch(() => undefined);
  // What is counted is asked when metrics are read: all of it is there then.
  const metrics = await openMetrics({
    sessions: () => journal.counts,
    backlogs: () => calls.backlogs,
    isReady: () => core.isReady,
  });
  const watcher: CallWatcher = {
    onLost: (reason) => {
      metrics.lost();
      log.error({ reason }, 'device lost');
    },
    onRecovered: (device) => {
      log.warn({ device }, 'goes on with another device');
    },
    onGivenUp: (error) => {
      log.error({ error: String(error) }, 'no other device');
      giveUp(error);
    },
  };
  const unsaved = new RareLine((error, saves) => {
    log.warn({ error: String(error), saves }, 'calls could not be saved');
  });
  const { maxSessions, idleSeconds, maxBacklogSeconds, maxCallSeconds } = limits;
  const calls = await Calls.start(
    options.openEngine ?? (() => openNodeEngine()),
    {
      model,
      recognizer: options.recognizer ?? {},
      sessions: {
        ...{ maxSessions, idleSeconds, maxBacklogSeconds },
        onStep: (step) => {
          metrics.stepped(step);
        },
      },
      durable: {
        store: options.callStore ?? keptHere(maxSessions, options.keepSeconds),
        saveSeconds: options.saveSeconds,
        // Whoever knows a call's name may go on with it: that is in no log.
        onError: (_, error) => {
          metrics.notSaved();
          unsaved.tell(error);
        },
      },
    },
    { watcher, maxCallSeconds },
  );
  const journal = new Journal(log, metrics, options.logText ?? false);
  const core = new ServerCore({
    ...{ admission, calls, journal, limits, metrics, tokens: tokensOf(model) },
    access: new Access(options.tokens),
    modelRate: model.config.features.sampleRate,
    sharesCalls: options.callStore !== undefined,
  });
  return { core, givenUp };
}

const keptHere = (maxSessions: number, expirySeconds: number | undefined) =>
  new MemoryCallStore({ maxCalls: KEPT_CALLS * maxSessions, expirySeconds });

/** A recognizer has refused a model without them. */
function tokensOf({ tokens }: Model): TokenTable {
  if (!tokens) {
    throw new RillError('bad-model', {
      got: 'a model without tokens.txt',
      expected: 'a token table',
      remedy: 'Put the tokens.txt of the training run into the model folder.',
    });
  }
  return tokens;
}
