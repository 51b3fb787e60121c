/** The worker that teaches a model a phrase, or takes one out, so that the page never waits. */
import { fetchModel, openModel, readWav } from 'rill-asr';
import { teachPhrase, unteachPhrase } from 'rill-asr/training';
import type { TeacherReply, TeacherRequest, TeachRequest } from './messages.ts';

const reply = (message: TeacherReply) => {
  postMessage(message);
};

const open = (source: TeacherRequest['source']) =>
  typeof source === 'string' ? fetchModel(source) : Promise.resolve(openModel(source));

async function fetchSpeech(address: string) {
  const response = await fetch(address);
  if (!response.ok) {
    throw new Error(`${address}: ${response.status}`);
  }
  return readWav(await response.arrayBuffer());
}

async function teach({ source, phrase, recordings, negatives, rehearsal, speech, steps }: TeachRequest) {
  const [known, otherSpeech] = await Promise.all([open(source), fetchSpeech(speech)]);
  const model = known.tokens?.phraseId(phrase) === undefined ? known : openModel(await unteachPhrase(known, phrase));
  return teachPhrase({
    ...{ model, phrase, recordings, negatives, rehearsal, steps },
    speech: [otherSpeech],
    onProgress: (progress) => {
      reply({ progress });
    },
  });
}

addEventListener('message', ({ data }: MessageEvent<TeacherRequest>) => {
  const work =
    data.verb === 'teach' ? teach(data) : open(data.source).then((model) => unteachPhrase(model, data.phrase));
  work.then(
    (files) => {
      reply({ files });
    },
    (error: unknown) => {
      reply({ error: error instanceof Error ? error.message : String(error) });
    },
  );
});
