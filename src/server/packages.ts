import { RillError, type Complaint } from '../errors.ts';

/** Packages that only a server needs: whoever runs one installs them beside Rill. */
const PACKAGES = ['ws', 'prom-client', 'pino'];

/** WebSockets. @throws RillError `bad-argument` where the package is not installed. */
export const loadWs = () => load('ws', () => import('ws'));

/** Metrics. @throws RillError `bad-argument` where the package is not installed. */
export const loadPromClient = () => load('prom-client', () => import('prom-client'));

/** Logs. @throws RillError `bad-argument` where the package is not installed. */
export const loadPino = () => load('pino', () => import('pino'));

const load = <Package>(name: string, importing: () => Promise<Package>) =>
  loadPackage(importing, {
    got: `no package ${name}`,
    expected: `the packages ${PACKAGES.join(', ')} beside rill-asr`,
    remedy: `Install what a server needs: npm install ${PACKAGES.join(' ')}.`,
  });

/**
 * Loads what is not installed with Rill.
 *
 * @param complaint said where it is missing, with the cause behind what was got
 * @throws RillError `bad-argument` then.
 */
export async function loadPackage<Package>(
  importing: () => Promise<Package>,
  { got, ...complaint }: Complaint,
): Promise<Package> {
  try {
    return await importing();
  } catch (cause) {
    const [words] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new RillError('bad-argument', { got: `${got} (${words})`, ...complaint }, { cause });
  }
}
