/// WebSockets through the door. The token travels as a subprotocol, since pages cannot set headers on them.
import { useSyncExternalStore } from 'react';
import { doorToken } from '../session/doorToken';

/// Latest messages that are kept.
const MOST = 2_000;

export interface Message {
  at: number;
  sent: boolean;
  text: string;
}

export interface Socket {
  state: 'connecting' | 'open' | 'closed';
  note: string;
  messages: Message[];
  send: (text: string) => void;
  close: () => void;
}

const sockets = new Map<string, Socket>();
const listeners = new Set<() => void>();

function put(tab: string, socket: Socket): void {
  sockets.set(tab, socket);
  for (const listener of listeners) {
    listener();
  }
}

export function useSocket(tab: string): Socket | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => sockets.get(tab),
  );
}

/// Closes a tab's socket and forgets what it said.
export function dropSocket(tab: string): void {
  sockets.get(tab)?.close();
  sockets.delete(tab);
}

/// Opens a socket for a tab. `protocols` are for the service.
export async function connect(tab: string, url: string, protocols: string[]): Promise<void> {
  dropSocket(tab);
  const token = await doorToken();
  const address = new URL(url, location.href);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(address, ['doorman', `doorman.token.${token}`, ...protocols]);
  socket.binaryType = 'arraybuffer';
  let state: Socket = {
    state: 'connecting',
    note: '',
    messages: [],
    send: (text) => {
      socket.send(text);
      add(true, text);
    },
    close: () => socket.close(1000),
  };
  const update = (change: Partial<Socket>) => {
    const replaced = sockets.get(tab)?.close !== state.close;
    state = { ...state, ...change };
    if (!replaced) {
      put(tab, state);
    }
  };
  const add = (sent: boolean, text: string) =>
    update({ messages: [...state.messages, { at: Date.now(), sent, text }].slice(-MOST) });
  put(tab, state);
  socket.onopen = () => update({ state: 'open', note: socket.protocol === 'doorman' ? '' : `subprotocol ${socket.protocol}` });
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) =>
    add(false, typeof data === 'string' ? data : `${data.byteLength} bytes: ${hex(data)}`);
  socket.onclose = ({ code, reason }) =>
    update({
      state: 'closed',
      // Browsers do not tell pages why a handshake was refused.
      note: state.state === 'connecting' ? 'Refused before it was open: the audit log says why.' : `closed with ${code}${reason && `: ${reason}`}`,
    });
}

function hex(data: ArrayBuffer): string {
  const shown = [...new Uint8Array(data, 0, Math.min(data.byteLength, 64))];
  return shown.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
