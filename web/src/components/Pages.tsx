/// A list that the server gives page by page.
import { Button, Center, Loader } from '@mantine/core';
import { type QueryKey, useInfiniteQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { asProblem } from '../client/problem';
import { ProblemAlert } from './ProblemAlert';

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/// Reads such a list; `items` are those of all pages so far.
export function usePages<T>(queryKey: QueryKey, read: (cursor: string | undefined) => Promise<Page<T>>, refetchInterval: number | false = false) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => read(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval,
  });
  return { query, items: query.data?.pages.flatMap((page) => page.items) ?? [] };
}

interface PagesProps {
  query: { isPending: boolean; isError: boolean; error: Error | null; refetch: () => void; hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => void };
  empty: ReactNode;
  isEmpty: boolean;
  children: ReactNode;
}

/// A list, or why there is none, and the way to its next page.
export function Pages({ query, empty, isEmpty, children }: PagesProps) {
  if (query.isError) return <ProblemAlert problem={asProblem(query.error)} onRetry={query.refetch} />;
  if (query.isPending) {
    return (
      <Center p="xl">
        <Loader aria-label="Loading" />
      </Center>
    );
  }
  return (
    <>
      {isEmpty ? empty : children}
      {query.hasNextPage && (
        <Center>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={query.fetchNextPage}>
            More
          </Button>
        </Center>
      )}
    </>
  );
}
