import { serveRecognizer } from 'rill-asr';

serveRecognizer();
