/** Which microphone: those that there are. Their names are told only to a page that may listen. */
import { element } from './elements.ts';
import { say } from './strings.ts';

export class MicrophonePicker {
  readonly #select = element('microphones', HTMLSelectElement);
  #devices: MediaDeviceInfo[] = [];

  /** @param onChange called when another one is chosen */
  constructor(onChange: () => void) {
    this.sayAgain();
    this.#select.addEventListener('change', onChange);
    // Absent on pages that are not secure, whatever the types say.
    const media = navigator.mediaDevices as MediaDevices | undefined;
    media?.addEventListener('devicechange', () => void this.refresh());
    void this.refresh();
  }

  /** What is asked of the microphone; nothing where the default will do. */
  get constraints(): MediaTrackConstraints | undefined {
    return this.#select.value ? { deviceId: { exact: this.#select.value } } : undefined;
  }

  /** Looks again, as soon as the page may listen, for then they have names. */
  async refresh(): Promise<void> {
    const media = navigator.mediaDevices as MediaDevices | undefined;
    const all = (await media?.enumerateDevices().catch(() => [])) ?? [];
    // Chrome lists the default twice, the second time under its own name.
    this.#devices = all.filter(({ kind, deviceId }) => kind === 'audioinput' && !['', 'default'].includes(deviceId));
    this.sayAgain();
  }

  sayAgain(): void {
    const chosen = this.#select.value;
    const options = this.#devices.map(
      ({ label, deviceId }, i) => new Option(label || say('microphoneUnnamed', { number: i + 1 }), deviceId),
    );
    const name = `${say('microphoneChoice')}: ${say('microphoneDefault')}`;
    this.#select.replaceChildren(new Option(name, ''), ...options);
    // One that went away leaves the default in its place.
    this.#select.value = options.some(({ value }) => value === chosen) ? chosen : '';
  }
}
