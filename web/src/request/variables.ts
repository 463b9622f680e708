/// Environments: sets of variables that are put into `{{name}}`. They stay in this browser; secret ones only in memory.
import { useSyncExternalStore } from 'react';

export interface Variable {
  name: string;
  value: string;
  /// Not written to storage.
  secret: boolean;
}

export interface Environment {
  name: string;
  variables: Variable[];
}

interface State {
  environments: Environment[];
  /// Name of the chosen one, or null.
  chosen: string | null;
}

const KEY = 'doorman.environments';
let state: State = load();
const listeners = new Set<() => void>();

function load(): State {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? 'null') as State | null;
    if (stored !== null && Array.isArray(stored.environments)) {
      return stored;
    }
  } catch {
    // Storage is a convenience: without it one begins afresh.
  }
  return { environments: [], chosen: null };
}

export function setEnvironments(next: State): void {
  state = next;
  const kept: State = {
    ...next,
    environments: next.environments.map(({ name, variables }) => ({
      name,
      variables: variables.map((variable) => (variable.secret ? { ...variable, value: '' } : variable)),
    })),
  };
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // As above.
  }
  for (const listener of listeners) {
    listener();
  }
}

export function useEnvironments(): State {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

/// The chosen environment's values by name.
export function valuesOf({ environments, chosen }: State): Map<string, string> {
  const variables = environments.find(({ name }) => name === chosen)?.variables ?? [];
  return new Map(variables.map(({ name, value }) => [name, value]));
}

const PLACE = /\{\{\s*([\w.-]+)\s*\}\}/g;

/// Puts values into a text. Names without a value stay as they are and are added to `missing`.
export function fill(text: string, values: Map<string, string>, missing: Set<string>): string {
  return text.replace(PLACE, (whole, name: string) => {
    const value = values.get(name);
    if (value === undefined) {
      missing.add(name);
      return whole;
    }
    return value;
  });
}
