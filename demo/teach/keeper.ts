/** The taught model that is kept in the browser's storage, with the recordings that it was taught from. There is one at most. */
import type { TaughtModel } from './lessons.ts';

const [DATABASE, STORE, KEY] = ['rill-teach', 'models', 'taught'];

const answerOf = <Value>(request: IDBRequest<Value>) =>
  new Promise<Value>((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error('The browser’s storage gave no answer.'));
    };
  });

async function inStore<Value>(
  mode: IDBTransactionMode,
  ask: (store: IDBObjectStore) => IDBRequest<Value>,
): Promise<Value> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await answerOf(opening);
  try {
    return await answerOf(ask(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

/** @returns undefined where none is kept, or the browser has no storage for this page */
export const findKept = (): Promise<TaughtModel | undefined> =>
  inStore('readonly', (store) => store.get(KEY) as IDBRequest<TaughtModel | undefined>).catch(() => undefined);

/** Keeps a model, in place of the one before. */
export const keep = (model: TaughtModel) => inStore('readwrite', (store) => store.put(model, KEY));

export const forgetKept = () => inStore('readwrite', (store) => store.delete(KEY));
