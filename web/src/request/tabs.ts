/// The open requests. They survive a reload, without secrets (draft.ts); answers do not.
///
/// Bodies may hold what no name gives away, so they are kept in `sessionStorage`, which ends with the browser's tab;
/// `localStorage`, which lasts, gets the rest, and bodies only if the person wants that ([`useKeepsBodies`]).
import { useLocalStorage } from '@mantine/hooks';
import { useSyncExternalStore } from 'react';
import { LOGGED_OUT } from '../session/session';
import { type Draft, draftFrom, emptyDraft, titleOf, withoutBody, withoutSecrets } from './draft';

/// Where a tab was opened from.
export interface Saved {
  id: string;
  name: string;
  /// As it is at the server, to tell whether the tab has changes.
  draft: Draft;
}

export interface Tab {
  id: string;
  draft: Draft;
  saved: Saved | null;
}

interface State {
  tabs: Tab[];
  current: string;
}

const KEY = 'doorman.tabs';
const KEEPS_BODIES = 'doorman.keeps-bodies';
let state: State = load();
const listeners = new Set<() => void>();
let writing: ReturnType<typeof setTimeout> | undefined;

function newTab(draft = emptyDraft(), saved: Saved | null = null): Tab {
  return { id: crypto.randomUUID(), draft, saved };
}

function load(): State {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? 'null') as { tabs: unknown[]; current: number } | null;
    if (stored !== null && Array.isArray(stored.tabs) && stored.tabs.length > 0) {
      const tabs = stored.tabs.map((value) => {
        const { draft, saved } = value as { draft: unknown; saved: { id: string; name: string; draft: unknown } | null };
        return newTab(draftFrom(draft), saved ? { ...saved, draft: draftFrom(saved.draft) } : null);
      });
      return { tabs, current: (tabs[stored.current] ?? tabs[0])?.id ?? '' };
    }
  } catch {
    // Storage is a convenience: without it one begins afresh.
  }
  const tab = newTab();
  return { tabs: [tab], current: tab.id };
}

function store(): void {
  const current = state.tabs.findIndex(({ id }) => id === state.current);
  const tabs = state.tabs.map(({ draft, saved }) => ({
    draft: withoutSecrets(draft),
    saved: saved && { ...saved, draft: withoutSecrets(saved.draft) },
  }));
  const lasting = localStorage.getItem(KEEPS_BODIES) === 'true' ? tabs : tabs.map(({ draft, saved }) => ({
    draft: withoutBody(draft),
    // A tab that lost its body must not overwrite the saved request with what is left.
    saved: saved !== null && draft.body.kind === 'none' && saved.draft.body.kind === 'none' ? saved : null,
  }));
  for (const [storage, kept] of [[sessionStorage, tabs], [localStorage, lasting]] as const) {
    try {
      storage.setItem(KEY, JSON.stringify({ tabs: kept, current }));
    } catch {
      // Too much text for storage: the tabs live on until the page goes.
    }
  }
}

/// Whether bodies of open requests outlive the browser's tab. What was kept goes as soon as it is switched off.
export function useKeepsBodies(): [boolean, (keeps: boolean) => void] {
  const [keeps, setKeeps] = useLocalStorage({ key: KEEPS_BODIES, defaultValue: false, getInitialValueInEffect: false });
  return [
    keeps,
    (keeps) => {
      localStorage.setItem(KEEPS_BODIES, String(keeps));
      setKeeps(keeps);
      store();
    },
  ];
}

function set(next: State): void {
  state = next;
  clearTimeout(writing);
  writing = setTimeout(store, 200);
  for (const listener of listeners) {
    listener();
  }
}

// Nothing typed in the last moments is lost; but whoever logs out leaves nothing behind.
addEventListener('pagehide', store);
addEventListener(LOGGED_OUT, () => {
  removeEventListener('pagehide', store);
  clearTimeout(writing);
});

export function useTabs(): State {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

/// Opens a request in a tab of its own and shows it; one that is open already is only shown.
export function openTab(draft: Draft = emptyDraft(), saved: Saved | null = null): void {
  const open = saved && state.tabs.find((tab) => tab.saved?.id === saved.id);
  if (open) {
    set({ ...state, current: open.id });
    return;
  }
  const tab = newTab(draft, saved);
  // An untouched empty tab makes room.
  const rest = state.tabs.filter((other) => other.saved !== null || !isUntouched(other.draft));
  set({ tabs: [...rest, tab], current: tab.id });
}

/// A further empty tab, which keeps region and service: the next request mostly goes to the same.
export function addTab(): void {
  const current = state.tabs.find(({ id }) => id === state.current)?.draft;
  const tab = newTab({ ...emptyDraft(), region: current?.region ?? '', service: current?.service ?? '' });
  set({ tabs: [...state.tabs, tab], current: tab.id });
}

export function closeTab(id: string): void {
  const at = state.tabs.findIndex((tab) => tab.id === id);
  const rest = state.tabs.filter((tab) => tab.id !== id);
  const tabs = rest.length > 0 ? rest : [newTab()];
  const current = state.current === id ? (tabs[Math.min(at, tabs.length - 1)]?.id ?? '') : state.current;
  set({ tabs, current });
}

export function showTab(id: string): void {
  set({ ...state, current: id });
}

export function changeTab(id: string, change: (tab: Tab) => Partial<Tab>): void {
  set({ ...state, tabs: state.tabs.map((tab) => (tab.id === id ? { ...tab, ...change(tab) } : tab)) });
}

/// What the tab is called.
export function tabTitle({ draft, saved }: Tab): string {
  return saved?.name ?? titleOf(draft);
}

/// Whether it differs from what is saved.
export function isChanged({ draft, saved }: Tab): boolean {
  return saved !== null && JSON.stringify(withoutSecrets(draft)) !== JSON.stringify(withoutSecrets(saved.draft));
}

function isUntouched(draft: Draft): boolean {
  const blank = { ...emptyDraft(), region: draft.region, service: draft.service };
  return JSON.stringify(draft) === JSON.stringify(blank);
}
