/// Times and statuses in short.

/// `84 ms`, `1.25 s`.
export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/// The colour of a status: success, redirection, the client's fault, the server's.
export function colorOf(status: number): string {
  // Dark enough for white text on them.
  return status < 300 ? '#1b6e33' : status < 400 ? '#1864ab' : status < 500 ? '#a84300' : '#b42318';
}
