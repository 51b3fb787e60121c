import type { ModelFiles } from 'rill-asr';
import type { TeachProgress } from 'rill-asr/training';
import type { TeacherReply, TeacherRequest } from './messages.ts';

export interface TeacherHandlers {
  onProgress?: (progress: TeachProgress) => void;
  /** Ends the worker, and with it all that it holds on the GPU; what it is aborted with is thrown. */
  signal?: AbortSignal;
}

/** Teaches, or takes out, in a worker of its own. @returns the files of the model folder */
export async function askTeacher(
  request: TeacherRequest,
  { onProgress, signal }: TeacherHandlers = {},
): Promise<ModelFiles> {
  const worker = new Worker(new URL('./teach-worker.ts', import.meta.url), { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<TeacherReply>) => {
        if ('progress' in data) {
          onProgress?.(data.progress);
        } else if ('files' in data) {
          resolve(data.files);
        } else {
          reject(new Error(data.error));
        }
      };
      worker.onerror = ({ message }) => {
        reject(new Error(message || 'The worker that teaches could not be loaded.'));
      };
      signal?.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
      worker.postMessage(request);
    });
  } finally {
    worker.terminate();
  }
}
