import type { Admission } from './admission.ts';
import type { Connection } from './connection.ts';

/** Codes of WebSockets: the server goes, and it starts anew, so that the client may come back. */
const GOING_AWAY = 1001;
const SERVICE_RESTART = 1012;

/**
 * Lets nobody in any more, and waits until open calls have ended by themselves; those that have not within the time are told
 * what was heard so far, and closed.
 *
 * @param connections that are open, as they are at any time
 * @param seconds until calls are closed
 */
export async function drain(
  admission: Admission,
  connections: ReadonlySet<Connection>,
  seconds: number,
): Promise<void> {
  admission.drain();
  for (const connection of connections) {
    void connection.move(connection.isInCall ? SERVICE_RESTART : GOING_AWAY, 'the server ends');
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const bound = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, 1000 * seconds);
  });
  await Promise.race([admission.empty(), bound]);
  clearTimeout(timer);
  await Promise.all([...connections].map((connection) => connection.leave(SERVICE_RESTART, 'the server ends')));
}
