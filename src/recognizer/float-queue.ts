/** Values that come and go in order. Room is doubled, so that a value is copied a few times at most. */
export class FloatQueue {
  #values = new Float32Array(1024);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  append(values: Float32Array): void {
    if (this.#end + values.length > this.#values.length) {
      const kept = this.peek(this.length);
      const room = Math.max(2 * (kept.length + values.length), this.#values.length >> 1);
      const target = room > this.#values.length ? new Float32Array(room) : this.#values;
      target.set(kept);
      this.#values = target;
      [this.#start, this.#end] = [0, kept.length];
    }
    this.#values.set(values, this.#end);
    this.#end += values.length;
  }

  /** `count` values behind the first `skip`, valid until the next append. */
  peek(count: number, skip = 0): Float32Array<ArrayBuffer> {
    return this.#values.subarray(this.#start + skip, this.#start + skip + count);
  }

  drop(count: number): void {
    this.#start += count;
  }
}
