/// The short-lived token for `/r/…`. It lives in this module's memory alone: never in storage, URLs or logs.
import { api, call } from '../client/api';

/// Minted anew when less than this is left, so that a request does not arrive with a dead token.
const MARGIN_MS = 45_000;

let current: { token: string; until: number } | null = null;
let pending: Promise<string> | null = null;

/// A token that is good for at least another while.
export function doorToken(): Promise<string> {
  if (current !== null && current.until - Date.now() > MARGIN_MS) {
    return Promise.resolve(current.token);
  }
  pending ??= mint().finally(() => {
    pending = null;
  });
  return pending;
}

/// Forgets the token, as after a logout or when the door refused it.
export function forgetDoorToken(): void {
  current = null;
}

async function mint(): Promise<string> {
  const { token, expires_at } = await call(api.POST('/auth/v1/session-token'));
  current = { token, until: Date.parse(expires_at) };
  return token;
}
