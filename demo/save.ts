/** Files on their way to disk: a transcript, or the folder of a converted model. */
import type { ModelFiles } from 'rill-asr';

export function saveFile(name: string, content: BlobPart): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content]));
  link.download = name;
  link.click();
  // The download has to have begun before its address may go.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}

/** Saves the files of a model folder: into a folder where the browser can, else as downloads. */
export async function saveFolder(files: ModelFiles): Promise<void> {
  const entries = Object.entries(files).filter(([, content]) => content !== undefined) as [string, BlobPart][];
  const picker = window as { showDirectoryPicker?: (options: object) => Promise<FileSystemDirectoryHandle> };
  if (!picker.showDirectoryPicker) {
    for (const [name, content] of entries) {
      saveFile(name, content);
    }
    return;
  }
  const folder = await picker.showDirectoryPicker({ mode: 'readwrite' });
  for (const [name, content] of entries) {
    const file = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await file.write(content);
    await file.close();
  }
}
