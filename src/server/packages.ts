import { RillError } from '../errors.ts';

/** Packages that only a server needs: whoever runs one installs them beside Rill. */
const PACKAGES = ['ws', 'prom-client', 'pino'];

/** WebSockets. @throws RillError `bad-argument` where the package is not installed. */
export const loadWs = () => load('ws', () => import('ws'));

/** Metrics. @throws RillError `bad-argument` where the package is not installed. */
export const loadPromClient = () => load('prom-client', () => import('prom-client'));

/** Logs. @throws RillError `bad-argument` where the package is not installed. */
export const loadPino = () => load('pino', () => import('pino'));

async function load<Package>(name: string, importing: () => Promise<Package>): Promise<Package> {
  try {
    return await importing();
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    const complaint = {
      got: `no package ${name} (${words})`,
      expected: `the packages ${PACKAGES.join(', ')} beside rill-asr`,
      remedy: `Install what a server needs: npm install ${PACKAGES.join(' ')}.`,
    };
    throw new RillError('bad-argument', complaint, { cause });
  }
}
