import { loadPino } from './packages.ts';

/** Where a server writes what happens: pino's logger is one. */
export interface ServerLog {
  /** What happens every day. */
  info(fields: object, message: string): void;
  /** What somebody should look at. */
  warn(fields: object, message: string): void;
  /** What must not happen. */
  error(fields: object, message: string): void;
}

/** A line of JSON for each event, on stdout. @throws RillError `bad-argument` without the package `pino` */
export async function openLog(): Promise<ServerLog> {
  const { pino } = await loadPino();
  const logger = pino({ base: undefined, timestamp: pino.stdTimeFunctions.isoTime });
  return {
    info: (fields, message) => {
      logger.info(fields, message);
    },
    warn: (fields, message) => {
      logger.warn(fields, message);
    },
    error: (fields, message) => {
      logger.error(fields, message);
    },
  };
}
