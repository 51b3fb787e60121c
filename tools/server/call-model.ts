/** The model of the calls: the same in the servers and where the calls are heard unbroken. */
import { fileURLToPath } from 'node:url';

export const bundledFolder = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));
