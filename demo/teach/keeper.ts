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

/** What is written is kept only when its transaction is complete. */
const endOf = (transaction: IDBTransaction) =>
  new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => {
      resolve();
    };
    transaction.onabort = () => {
      reject(transaction.error ?? new Error('The browser’s storage took nothing.'));
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
    const transaction = database.transaction(STORE, mode);
    const [answer] = await Promise.all([answerOf(ask(transaction.objectStore(STORE))), endOf(transaction)]);
    return answer;
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
