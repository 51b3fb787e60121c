import { defineConfig } from 'vite';

/** Workers as modules: what only converts checkpoints is then a file of its own, which this page never asks for. */
export default defineConfig({ base: './', worker: { format: 'es' } });
