/// A run that is watched: its progress as the server tells it, and what became of its items over time.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { type Sample, addSample, samplesOfItems } from './outcomes';
import { type Run, isAtRest, runs } from './wire';

/// Items that are looked at to draw what happened before the page was opened.
const LOOKED_AT = 500;

export function useRun(id: string) {
  const queries = useQueryClient();
  const [samples, setSamples] = useState<Sample[]>([]);
  const key = ['runs', id];
  const run = useQuery({ queryKey: key, queryFn: () => runs.get(id), refetchInterval: (query) => (query.state.data && !isAtRest(query.state.data) ? 5_000 : false) });
  const over = run.data ? isAtRest(run.data) : true;
  const startedAt = run.data?.started_at ?? null;

  useEffect(() => {
    if (startedAt === null) return;
    // What happened before, as far as the first items tell it.
    let stale = false;
    runs
      .items(id, { limit: LOOKED_AT })
      .then((list) => {
        if (!stale && list.next_cursor === null) setSamples((samples) => (samples.length < 2 ? samplesOfItems(list.items, Date.parse(startedAt)) : samples));
      })
      .catch(() => undefined);
    return () => {
      stale = true;
    };
  }, [id, startedAt]);

  useEffect(() => {
    if (over) return;
    const source = new EventSource(runs.events(id));
    source.addEventListener('progress', (event) => {
      const run = JSON.parse((event as MessageEvent<string>).data) as Run;
      queries.setQueryData(key, run);
      setSamples((samples) => addSample(samples, Date.now(), run.counts));
    });
    return () => source.close();
    // eslint-disable-next-line -- the key is the id
  }, [id, over, queries]);

  // Polling and the last answer count too, should events not come through.
  useEffect(() => {
    if (run.data && !isAtRest(run.data)) setSamples((samples) => addSample(samples, Date.now(), run.data.counts));
  }, [run.data]);

  return { run, samples, refresh: () => void queries.invalidateQueries({ queryKey: ['runs'] }) };
}
