/// What policy calls things, in words.

/// Everything that `/auth/v1/me` can list, so that what is not permitted can be shown too.
export const RIGHTS: { action: string; resource: string; label: string; ask: string }[] = [
  { action: 'audit:read', resource: 'audit:own', label: 'Read your own audit entries', ask: 'every user' },
  { action: 'audit:read', resource: 'audit:all', label: 'Read everybody’s audit entries', ask: 'auditors' },
  { action: 'audit:export', resource: 'audit:own', label: 'Export your own audit entries', ask: 'auditors' },
  { action: 'audit:export', resource: 'audit:all', label: 'Export the whole audit log', ask: 'auditors' },
  { action: 'token:issue', resource: 'tokens', label: 'Issue tokens of your own', ask: 'every user' },
  { action: 'session:manage', resource: 'sessions:own', label: 'See and end your own sessions', ask: 'every user' },
  { action: 'session:manage', resource: 'sessions:all', label: 'See and end everybody’s sessions', ask: 'administrators' },
  { action: 'service_account:manage', resource: 'service_accounts', label: 'Manage service accounts', ask: 'administrators' },
  { action: 'key:manage', resource: 'keys', label: 'Manage keys', ask: 'administrators' },
  { action: 'policy:read', resource: 'policies', label: 'Have anybody’s rights explained', ask: 'administrators' },
];

/// To the question about one request, asked at once.
export function explainLink(question: { region: string; service: string; method: string; path: string }): string {
  return `/access?${new URLSearchParams(question)}`;
}

const VERDICTS: Record<string, { label: string; color: string; text: string }> = {
  applies: { label: 'applies', color: 'blue', text: 'It is about this request, and its conditions hold.' },
  not_met: { label: 'not met', color: 'gray', text: 'It is about you, but a condition does not hold: method, path, reason, time or address.' },
  other_principal: { label: 'somebody else', color: 'gray', text: 'It is about other people.' },
  failed: { label: 'failed', color: 'red', text: 'It could not be evaluated.' },
};

/// What a policy makes of a request, in words.
export function verdictOf(verdict: string): { label: string; color: string; text: string } {
  return VERDICTS[verdict] ?? { label: verdict, color: 'gray', text: '' };
}
