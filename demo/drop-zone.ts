import { element, input } from './elements.ts';
import { droppedFiles } from './files.ts';

const hasFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') ?? false;

/** Takes files that are chosen, or dropped anywhere on the page. */
export function connectDropZone(onFiles: (files: readonly File[]) => void): void {
  const chooser = input('file');
  chooser.addEventListener('change', () => {
    onFiles([...(chooser.files ?? [])]);
    chooser.value = '';
  });
  const drop = element('drop', HTMLLabelElement);
  document.addEventListener('dragover', (event) => {
    // Text may be dragged into the list of keywords.
    if (hasFiles(event)) {
      event.preventDefault();
      drop.classList.add('over');
    }
  });
  document.addEventListener('dragleave', () => drop.classList.remove('over'));
  document.addEventListener('drop', (event) => {
    drop.classList.remove('over');
    if (event.dataTransfer && hasFiles(event)) {
      event.preventDefault();
      void droppedFiles(event.dataTransfer).then(onFiles);
    }
  });
}
