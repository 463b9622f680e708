/// Sizes and times in short.

/// `512 B`, `1.2 KiB`, `10.0 MiB`.
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/// `84 ms`, `1.25 s`.
export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/// The colour of a status: success, redirection, the client's fault, the server's.
export function colorOf(status: number): string {
  // Dark enough for white text on them.
  return status < 300 ? '#1b6e33' : status < 400 ? '#1864ab' : status < 500 ? '#a84300' : '#b42318';
}
