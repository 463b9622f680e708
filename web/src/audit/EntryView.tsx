/// One entry by its id: from the list where it is there, else from the server.
import { Center, Loader } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { EntryDetails } from './EntryDetails';
import type { Entry } from './entry';

export function EntryView({ id, known, onRetried }: { id: string; known?: Entry; onRetried?: () => void }) {
  const queries = useQueryClient();
  const found = useQuery({
    queryKey: ['audit', 'entry', id],
    queryFn: () => call(api.GET('/api/v1/audit/{id}', { params: { path: { id } } })),
    enabled: known === undefined,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });
  const entry = known ?? found.data;
  if (entry !== undefined) {
    return (
      <EntryDetails
        key={entry.id}
        entry={entry}
        onRetried={() => {
          void queries.invalidateQueries({ queryKey: ['audit', 'entry', id] });
          onRetried?.();
        }}
      />
    );
  }
  if (found.isError) return <ProblemAlert problem={asProblem(found.error)} onRetry={() => found.refetch()} />;
  return (
    <Center p="xl">
      <Loader aria-label="Loading the entry" />
    </Center>
  );
}
