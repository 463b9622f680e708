/// What became of a run's items over time, from the counts that its progress tells.

/// The states of items, in the order in which they are shown.
export const ITEM_STATES = ['done', 'failed', 'unknown', 'skipped', 'sending', 'pending'] as const;
export type ItemState = (typeof ITEM_STATES)[number];
export type Counts = Partial<Record<ItemState, number>>;

/// What was known at one time.
export type Sample = { at: number; done: number; failed: number; unknown: number };

/// Points that the chart keeps; older ones are thinned out.
const MAX_SAMPLES = 240;

/// The samples with one more. Equal ones in a row are one span; when there are too many, every second one goes.
export function addSample(samples: readonly Sample[], at: number, counts: Counts): Sample[] {
  const sample = { at, done: counts.done ?? 0, failed: counts.failed ?? 0, unknown: counts.unknown ?? 0 };
  const last = samples.at(-1);
  // What is done stays done: fewer is an older answer that came late.
  if (last && (at <= last.at || sample.done < last.done)) return [...samples];
  const before = samples.at(-2);
  const isFlat = last !== undefined && before !== undefined && same(before, last) && same(last, sample);
  const next = [...(isFlat ? samples.slice(0, -1) : samples), sample];
  return next.length > MAX_SAMPLES ? next.filter((_, index) => index % 2 === 0 || index === next.length - 1) : next;
}

function same(a: Sample, b: Sample): boolean {
  return a.done === b.done && a.failed === b.failed && a.unknown === b.unknown;
}

/// An item as far as the chart needs it.
export type EndedItem = { state: string; audit_id?: string | null };

/**
 * The samples of a run that was not watched, from its items: an audit id is a UUIDv7, which begins with its time.
 */
export function samplesOfItems(items: readonly EndedItem[], startedAt: number): Sample[] {
  const ends = items.flatMap((item) => {
    const at = timeOfId(item.audit_id);
    return at !== undefined && (item.state === 'done' || item.state === 'failed' || item.state === 'unknown')
      ? [{ at, state: item.state }]
      : [];
  });
  ends.sort((a, b) => a.at - b.at);
  const first = Math.min(startedAt, ends[0]?.at ?? startedAt);
  let samples: Sample[] = [{ at: first, done: 0, failed: 0, unknown: 0 }];
  const counts = { done: 0, failed: 0, unknown: 0 };
  const step = Math.max(1, Math.ceil(ends.length / (MAX_SAMPLES / 2)));
  ends.forEach((end, index) => {
    counts[end.state as keyof typeof counts]++;
    const isLast = index === ends.length - 1;
    if (index % step === step - 1 || isLast)
      samples = addSample(samples, Math.max(end.at, (samples.at(-1)?.at ?? 0) + 1), counts);
  });
  return samples;
}

/// The time in a UUIDv7, in milliseconds.
export function timeOfId(id: string | null | undefined): number | undefined {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-7/i.exec(id ?? '');
  return match ? Number.parseInt(`${match[1]}${match[2]}`, 16) : undefined;
}

/// Failures of one kind.
export type Cause = { state: string; status: number | null; error: string | null; count: number; example: number };

type FailedItem = { index: number; state: string; status?: number | null; error?: string | null };

/// Groups items by why they did not succeed, the most frequent first.
export function groupCauses(items: readonly FailedItem[]): Cause[] {
  const groups = new Map<string, Cause>();
  for (const item of items) {
    const key = JSON.stringify([item.state, item.status ?? null, item.error ?? null]);
    const group = groups.get(key);
    if (group) group.count++;
    else
      groups.set(key, {
        state: item.state,
        status: item.status ?? null,
        error: item.error ?? null,
        count: 1,
        example: item.index,
      });
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}
