/** Devices that are open. */
const open = new Set<GPUDevice>();
let isWatching = false;

/**
 * Destroys a device when the process ends, by whatever way JavaScript is told of: the last line, `process.exit`, an
 * error that nobody caught. Destroying waits for what the GPU has begun: otherwise the driver's threads go on while the
 * process takes down what they use, which now and then ends in a segmentation fault. A signal that nobody handles ends all
 * threads at once, and needs nothing.
 */
export function destroyAtExit(device: GPUDevice): void {
  if (!isWatching) {
    isWatching = true;
    process.once('exit', destroyOpenDevices);
  }
  open.add(device);
  void device.lost.then(() => open.delete(device));
}

/** Destroys every device that is still open. */
export function destroyOpenDevices(): void {
  for (const device of open) {
    device.destroy();
  }
}
