// @ts-nocheck: TypeScript's libraries do not describe the audio thread's scope.
// Runs on the audio thread: passes on what the microphone gives, channels averaged, in pieces of about 20 ms.
// Plain JavaScript in a file of its own, because an AudioWorklet module is loaded by address.

const PIECE_SECONDS = 0.02;

class CaptureProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.ceil(PIECE_SECONDS * sampleRate));
    this.filled = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) {
        sum += channel[i];
      }
      this.piece[this.filled++] = sum / channels.length;
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece, [this.piece.buffer]);
        this.piece = new Float32Array(this.piece.length);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('rill-capture', CaptureProcessor);
