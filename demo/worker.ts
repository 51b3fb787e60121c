/** The worker of the page: features, GPU and search run here. */
import { serveRecognizer } from 'rill';

serveRecognizer();
