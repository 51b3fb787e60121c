/** Hears a recording in Node: node hear.mjs wake-words wake-words/samples/stream.wav */
import { readFile } from 'node:fs/promises';
import { OnlineRecognizer, readWav } from 'rill-asr';
import { openModelFolder, openNodeEngine } from 'rill-asr/node';

const [folder, path] = process.argv.slice(2);
const device = await openNodeEngine();
const recognizer = await OnlineRecognizer.load(await openModelFolder(folder), { device });
for await (const { text, isFinal } of recognizer.transcribe([readWav(await readFile(path))])) {
  if (isFinal) {
    console.log(text);
  }
}
recognizer.dispose();
