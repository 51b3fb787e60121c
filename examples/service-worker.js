// @ts-nocheck: TypeScript does not know the names of service workers beside those of pages.
/** Keeps a page and its files for visits without a network; Rill keeps the model by itself. */
const KEPT = 'page';

async function fetchOrKept(request) {
  const cache = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok) {
      await cache.put(request, response.clone());
    }
    return response;
  } catch (error) {
    return (await cache.match(request)) ?? Promise.reject(error);
  }
}

addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  if (method === 'GET' && !url.endsWith('/model.safetensors')) {
    event.respondWith(fetchOrKept(event.request));
  }
});
