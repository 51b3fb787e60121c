import { Microphone } from 'rill-asr';
import type { Listening } from './listening.ts';
import type { Panels } from './panels.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';

/** Listens to the microphone until it is stopped or goes away. */
export async function listenToMicrophone(listening: Listening, panels: Panels, status: Status): Promise<void> {
  const turn = listening.begin('microphone');
  try {
    const microphone = await Microphone.open({
      onAudio: (chunk) => {
        if (turn.stream) {
          panels.addAudio(chunk);
          turn.stream.push(chunk);
        }
      },
      onSilence: (silent) => {
        if (silent || status.warning === say('silence')) {
          status.warn(silent ? say('silence') : '');
        }
      },
      onEnd: () => {
        listening.stop();
        status.warn(say('microphoneEnded'));
      },
    });
    if (!turn.isCurrent) {
      microphone.close();
      return;
    }
    turn.cut = () => {
      microphone.close();
    };
    if (await listening.open(turn)) {
      status.tell(() => say('listeningMicrophone'));
    }
  } catch (error) {
    listening.fail(turn, error);
  }
}
