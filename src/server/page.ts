/** The page at `/`: a microphone, and what the server hears. All of it is in this text, so that there is nothing to host. */
import { createHash } from 'node:crypto';

const STYLE = `
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  button { font: inherit; padding: 0.4rem 1.2rem; }
  #text { min-height: 6rem; margin-top: 1.5rem; white-space: pre-wrap; }
  #now { opacity: 0.6; }
`;

/** What the audio thread runs: pieces of a tenth of a second, as they are captured. */
const WORKLET = `
  registerProcessor('capture', class extends AudioWorkletProcessor {
    constructor() { super(); this.piece = new Float32Array(Math.round(sampleRate / 10)); this.filled = 0; }
    process([[samples]]) {
      for (const sample of samples ?? []) {
        this.piece[this.filled++] = sample;
        if (this.filled === this.piece.length) { this.port.postMessage(this.piece.slice()); this.filled = 0; }
      }
      return true;
    }
  });
`;

/**
 * A call that has a name: when the connection is lost, or the server, the page goes on in another one, and sends again what
 * was not acknowledged.
 */
const SCRIPT = `
  const [button, token, status, said, now] = ['button', 'token', 'status', 'said', 'now'].map((id) =>
    document.getElementById(id));
  token.value = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  const FOR_GOOD = [1000, 1007, 1008, 1009, 4001, 4004], MOST_ATTEMPTS = 60, WAIT_MS = 1000;
  let stop;

  async function start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    const context = new AudioContext();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([${JSON.stringify(WORKLET)}], { type: 'text/javascript' })));
    const query = new URLSearchParams({ sample_rate: String(context.sampleRate), call: crypto.randomUUID() });
    if (token.value) query.set('token', token.value);
    // Pieces that are not acknowledged, where they begin in the call, and how far they were sent in this connection.
    let kept = [], first = 0, sent = 0;
    let socket, isBegun = false, hasSaidDone = false;
    let heard = 0, attempts = 0, wasBegun = false, isDone = false, isOver = false;

    const send = () => {
      if (!isBegun || hasSaidDone || socket.readyState !== WebSocket.OPEN) return;
      let at = first;
      for (const piece of kept) {
        if (at + piece.length > sent) {
          socket.send(piece.subarray(Math.max(0, sent - at)));
          sent = at + piece.length;
        }
        at += piece.length;
      }
      if (isDone) { socket.send('Done'); hasSaidDone = true; }
    };
    const end = (words) => {
      stop = undefined; isOver = true; status.textContent = words; button.textContent = 'Speak'; button.disabled = false;
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      socket.close();
    };
    const take = (data) => {
      if (data === 'Done!') { socket.send(JSON.stringify({ heard })); end(''); return; }
      const { acknowledged, number, text, is_final } = JSON.parse(data);
      if (acknowledged === undefined) {
        heard = number;
        now.textContent = is_final ? '' : text;
        if (is_final && text) said.textContent += text + '\\n';
      } else if (acknowledged < first) {
        end('the server has lost this call');
      } else {
        while (kept.length > 0 && first + kept[0].length <= acknowledged) first += kept.shift().length;
        // The first one of a connection says where to begin.
        if (!isBegun) { isBegun = wasBegun = true; sent = acknowledged; attempts = 0; }
        if (stop) status.textContent = 'listening';
        send();
      }
    };
    const connect = () => {
      isBegun = hasSaidDone = false;
      attempts++;
      query.set('heard', heard);
      const address = new URL('?' + query, location.href);
      address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
      address.hash = '';
      socket = new WebSocket(address);
      socket.onmessage = ({ data }) => take(data);
      socket.onclose = ({ code, reason }) => {
        if (isOver) return;
        if (FOR_GOOD.includes(code) || attempts > MOST_ATTEMPTS || !wasBegun) {
          end('closed: ' + (reason || code));
        } else {
          status.textContent = 'connecting again';
          setTimeout(connect, WAIT_MS);
        }
      };
    };

    const capture = new AudioWorkletNode(context, 'capture');
    capture.port.onmessage = ({ data }) => { if (stop) { kept.push(data); send(); } };
    context.createMediaStreamSource(stream).connect(capture);
    button.textContent = 'Stop';
    // What was said is still to be heard: no other call begins before that.
    stop = () => { stop = undefined; isDone = button.disabled = true; status.textContent = ''; send(); };
    connect();
  }

  button.onclick = () => { if (stop) stop(); else start().catch((error) => { status.textContent = error.message; }); };
`;

/** Its HTML. */
export const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Rill</title><style>${STYLE}</style></head>
<body>
<h1>Rill</h1>
<p><button id="button">Speak</button> <label>Token <input id="token" type="password" autocomplete="off"></label></p>
<p id="status" role="status"></p>
<div id="text" aria-live="polite"><span id="said"></span><span id="now"></span></div>
<script>${SCRIPT}</script>
</body>
</html>
`;

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** What it may do: run its own script, and speak to where it came from. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    `default-src 'none'`,
    `script-src ${hashOf(SCRIPT)} blob:`,
    `style-src ${hashOf(STYLE)}`,
    `connect-src 'self' ws: wss:`,
    `base-uri 'none'`,
    `frame-ancestors 'none'`,
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
