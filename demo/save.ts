/** Files on their way to disk: a transcript, or the folder of a model. */
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

/**
 * Saves the files of a model folder as a zip that holds the folder. The files stand in it as they are: weights do not shrink.
 *
 * @param name of the folder; that of a file, such as the checkpoint's, loses its extension
 */
export async function saveFolder(name: string, files: ModelFiles): Promise<void> {
  const folder = name.replace(/\.\w+$/, '');
  const { BlobReader, BlobWriter, ZipWriter, configure } = await import('@zip.js/zip.js');
  // Its workers would come from a blob, which strict pages forbid.
  configure({ useWebWorkers: false });
  const zip = new ZipWriter(new BlobWriter('application/zip'), { level: 0 });
  for (const [file, content] of Object.entries(files) as [string, BlobPart | undefined][]) {
    if (content !== undefined) {
      await zip.add(`${folder}/${file}`, new BlobReader(new Blob([content])));
    }
  }
  saveFile(`${folder}.zip`, await zip.close());
}
