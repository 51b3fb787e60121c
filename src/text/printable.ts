/** A text out of an untrusted file: what a terminal would take for commands is shown as \\u…. */
export const printable = (text: string) =>
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
