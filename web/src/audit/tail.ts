/// The live tail: entries as they are written down, and again when their outcome is known.
import { useEffect, useRef, useState } from 'react';
import type { Entry } from './entry';
import type { Filters } from './filters';

/// Entries that are kept on the page; older ones are in the log.
const MAX_ENTRIES = 500;

export type TailState = 'off' | 'connecting' | 'live' | 'ended';

interface Tail {
  state: TailState;
  /// Newest first.
  entries: Entry[];
  /// Why it ended, when it did.
  why: string | null;
}

/// The entries with newer versions in place of older ones and new ones before them.
export function mergeEntries(known: readonly Entry[], arrived: readonly Entry[]): Entry[] {
  const byId = new Map(arrived.map((entry) => [entry.id, entry]));
  const kept = known.map((entry) => {
    const newer = byId.get(entry.id);
    byId.delete(entry.id);
    return newer ?? entry;
  });
  const added = [...byId.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  return [...added, ...kept].slice(0, MAX_ENTRIES);
}

/// Follows the log while `on`. Times are left out of the filters, since what is followed happens now.
export function useTail(on: boolean, filters: Filters): Tail {
  const { from: _from, to: _to, ...rest } = filters;
  const query = new URLSearchParams(rest as Record<string, string>).toString();
  const [tail, setTail] = useState<Tail>({ state: 'off', entries: [], why: null });
  const waiting = useRef<Entry[]>([]);

  useEffect(() => {
    if (!on) {
      setTail({ state: 'off', entries: [], why: null });
      return;
    }
    setTail({ state: 'connecting', entries: [], why: null });
    const source = new EventSource(`/api/v1/audit/stream?${query}`);
    // Many entries a second become one change of the page.
    const flush = setInterval(() => {
      const arrived = waiting.current;
      if (arrived.length === 0) return;
      waiting.current = [];
      setTail((tail) => ({ ...tail, entries: mergeEntries(tail.entries, arrived) }));
    }, 200);
    const end = (why: string) => {
      source.close();
      setTail((tail) => ({ ...tail, state: 'ended', why }));
    };
    source.onopen = () => setTail((tail) => ({ ...tail, state: 'live' }));
    source.addEventListener('entry', (event) => waiting.current.push(JSON.parse(event.data) as Entry));
    source.addEventListener('end', (event) => {
      const said = JSON.parse((event as MessageEvent<string>).data) as { detail?: string };
      end(said.detail ?? 'Doorman ended the tail.');
    });
    // The browser would reconnect by itself, each time as a new reading in the log, and miss what came in between.
    source.onerror = () => end('The connection to Doorman was lost.');
    return () => {
      clearInterval(flush);
      source.close();
      waiting.current = [];
    };
  }, [on, query]);
  return tail;
}
