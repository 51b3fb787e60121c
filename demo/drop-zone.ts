import { input } from './elements.ts';
import { droppedFiles } from './files.ts';

const hasFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') ?? false;

/** A part of the page that has a use of its own for files that are dropped there. */
export interface DropTarget {
  area: HTMLElement;
  onFiles: (files: readonly File[]) => void;
}

/**
 * Takes files that are chosen, or dropped anywhere on the page.
 *
 * @param targets parts of the page that take what is dropped into them; the first that fits does
 */
export function connectDropZone(onFiles: DropTarget['onFiles'], targets: readonly DropTarget[]): void {
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
      const inside = targets.find(({ area }) => event.target instanceof Node && area.contains(event.target));
      void droppedFiles(event.dataTransfer).then(inside?.onFiles ?? onFiles);
    }
  });
}
