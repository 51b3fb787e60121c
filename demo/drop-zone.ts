import { input } from './elements.ts';
import { droppedFiles } from './files.ts';

const hasFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') ?? false;

/** Takes files that are chosen, or dropped anywhere on the page. */
export function connectDropZone(onFiles: (files: readonly File[]) => void): void {
  const chooser = input('file');
  chooser.addEventListener('change', () => {
    onFiles([...(chooser.files ?? [])]);
    chooser.value = '';
  });
  const { classList } = document.body;
  document.addEventListener('dragover', (event) => {
    // Text may be dragged into the list of keywords.
    if (hasFiles(event)) {
      event.preventDefault();
      classList.add('over');
    }
  });
  document.addEventListener('dragleave', () => classList.remove('over'));
  document.addEventListener('drop', (event) => {
    classList.remove('over');
    if (event.dataTransfer && hasFiles(event)) {
      event.preventDefault();
      void droppedFiles(event.dataTransfer).then(onFiles);
    }
  });
}
