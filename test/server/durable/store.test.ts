import { MemoryCallStore } from '../../../src/server/durable/store.ts';
import { describeStore } from '../../support/call-store.ts';

describeStore('MemoryCallStore', async (expirySeconds) => new MemoryCallStore({ expirySeconds }));
