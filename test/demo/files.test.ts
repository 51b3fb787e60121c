import { expect, it } from 'vitest';
import { sortFiles } from '../../demo/files.ts';

const dropped = (...names: string[]) => names.map((name) => new File(['content'], name));
const namesOf = (files: readonly File[]) => files.map(({ name }) => name);

it('takes with an ONNX model the files that its weights may lie in', async () => {
  const { checkpoints, audio, tokens } = await sortFiles(
    dropped('encoder.onnx', 'encoder.onnx.data', 'weights', 'tokens.txt', 'README.md', '.gitattributes', '0.wav'),
  );
  expect(namesOf(checkpoints)).toEqual(['encoder.onnx', 'encoder.onnx.data', 'weights']);
  expect(audio).toEqual([]);
  expect(tokens).toBe('content');
});

it('takes recordings for recordings, and a state dict for one', async () => {
  expect(namesOf((await sortFiles(dropped('a.wav'))).audio)).toEqual(['a.wav']);
  expect(namesOf((await sortFiles(dropped('model.pt', 'a.data'))).checkpoints)).toEqual(['model.pt']);
});
