/// The registry behind the command palette. A page adds its commands while it is shown:
///
///     useCommands([{ id: 'request.send', label: 'Send request', group: 'Request', run: send }]);
import { useEffect, useRef, useSyncExternalStore } from 'react';

export interface Command {
  /// Unique: `page.verb`.
  id: string;
  label: string;
  description?: string;
  /// The heading it stands under.
  group: string;
  /// Other words to find it by.
  keywords?: string[];
  /// How it is reached without the palette, such as `Ctrl+Enter`.
  keys?: string;
  run: () => void;
}

let commands: Command[] = [];
const listeners = new Set<() => void>();

function change(next: Command[]) {
  commands = next;
  for (const listener of listeners) {
    listener();
  }
}

/// Adds commands while the component is mounted. `run` may close over fresh state on every render.
export function useCommands(added: Command[]): void {
  const latest = useRef(added);
  latest.current = added;
  const shape = JSON.stringify(added.map(({ run: _, ...rest }) => rest));
  useEffect(() => {
    const mine = latest.current.map((command, index) => ({
      ...command,
      run: () => latest.current[index]?.run(),
    }));
    change([...commands, ...mine]);
    return () => change(commands.filter((command) => !mine.includes(command)));
    // `shape` stands for everything but `run`.
  }, [shape]);
}

/// All that can be done right now.
export function useAllCommands(): Command[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => commands,
  );
}
