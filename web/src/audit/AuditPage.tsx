/// The audit log: search, follow, look, retry, export.
import { Alert, Box, Button, Drawer, Group, Loader, Menu, Stack, Switch, Text, Title, Tooltip } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconDownload, IconListSearch, IconRefresh } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useCommands } from '../app/commands';
import { api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { EmptyState } from '../components/EmptyState';
import { ProblemAlert } from '../components/ProblemAlert';
import { useSession } from '../session/session';
import { ChainStatus } from './ChainStatus';
import { EntryTable } from './EntryTable';
import { EntryView } from './EntryView';
import { FilterBar } from './FilterBar';
import './audit.css';
import type { Entry } from './entry';
import { type Filters, readFilters, toQuery, writeFilters } from './filters';
import { useTail } from './tail';

const PAGE = 50;
/// A search may answer with short pages; so many are asked for at once before the reader is asked.
const PATIENCE = 12;

export default function AuditPage() {
  const [params, setParams] = useSearchParams();
  const { may } = useSession();
  const filters = readFilters(params);
  const shape = JSON.stringify(filters);
  const live = params.get('live') === '1';
  const selected = params.get('entry');
  const search = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState(0);
  const log = useLog(shape, asked);
  const tail = useTail(live, filters);
  const readsAll = may('audit:read', 'audit:all');

  const { entries, fresh } = useMemo(() => {
    const listed = log.entries;
    const newer = new Map(tail.entries.map((entry) => [entry.id, entry]));
    const known = new Set(listed.map((entry) => entry.id));
    const arrived = tail.entries.filter((entry) => !known.has(entry.id));
    return {
      entries: [...arrived, ...listed.map((entry) => newer.get(entry.id) ?? entry)],
      fresh: new Set(arrived.map((entry) => entry.id)),
    };
  }, [log.entries, tail.entries]);

  const set = (name: string, value: string | null) =>
    setParams(
      (params) => {
        const next = new URLSearchParams(params);
        if (value === null) next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: name === 'live' },
    );
  const change = (next: Filters) => setParams((params) => writeFilters(params, next));
  const refresh = () => setAsked((asked) => asked + 1);
  const toggleLive = () => set('live', live ? null : '1');

  useHotkeys([['/', () => search.current?.focus()]]);
  useCommands([
    { id: 'audit.search', label: 'Search the audit log', group: 'Audit', keys: '/', run: () => search.current?.focus() },
    { id: 'audit.live', label: live ? 'Stop following the log' : 'Follow the log live', group: 'Audit', keywords: ['tail'], run: toggleLive },
    { id: 'audit.failed', label: 'Show what failed', description: 'Answers with 5xx', group: 'Audit', run: () => change({ status: '5xx' }) },
    { id: 'audit.denied', label: 'Show what was denied', group: 'Audit', run: () => change({ outcome: 'denied' }) },
  ]);

  return (
    <Stack p="md" gap="md">
      <Group justify="space-between" align="center">
        <div>
          <Title order={1} size="h3">
            Audit
          </Title>
          <Text size="sm" c="dimmed">
            {readsAll ? 'Everybody’s entries, newest first.' : 'Your own entries, newest first.'}
          </Text>
        </div>
        <Group gap="sm">
          <ChainStatus />
          <Switch
            label={live ? (tail.state === 'live' ? 'Following' : tail.state === 'ended' ? 'Stopped' : 'Connecting') : 'Follow live'}
            checked={live}
            onChange={toggleLive}
          />
          <Tooltip label="Search again">
            <Button variant="default" size="xs" onClick={refresh} leftSection={<IconRefresh size={14} aria-hidden />}>
              Refresh
            </Button>
          </Tooltip>
          <Export filters={filters} />
        </Group>
      </Group>
      <FilterBar filters={filters} onChange={change} searchRef={search} />
      {tail.state === 'ended' && (
        <Alert color="yellow" title="Not following any more">
          <Group gap="sm">
            <Text size="sm">{tail.why}</Text>
            <Button
              size="compact-sm"
              variant="default"
              onClick={() => {
                set('live', null);
                refresh();
              }}
            >
              Show the log as it is now
            </Button>
          </Group>
        </Alert>
      )}
      {log.error !== null && <ProblemAlert problem={asProblem(log.error)} onRetry={refresh} />}
      {entries.length > 0 && (
        <EntryTable entries={entries} selected={selected} fresh={fresh} onOpen={(id) => set('entry', id)} />
      )}
      <Foot log={log} shown={entries.length} filtered={shape !== '{}'} live={live} onClear={() => change({})} />
      <Drawer
        opened={selected !== null}
        onClose={() => set('entry', null)}
        position="right"
        size="xl"
        title="Audit entry"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        {selected !== null && <EntryView id={selected} known={entries.find((entry) => entry.id === selected)} onRetried={refresh} />}
      </Drawer>
    </Stack>
  );
}

interface Log {
  entries: Entry[];
  error: Error | null;
  isLoading: boolean;
  isSearching: boolean;
  hasMore: boolean;
  more: () => void;
}

/// The log, page by page. Each query is an entry in the log, so none is repeated without somebody asking.
function useLog(shape: string, asked: number): Log {
  const query = useInfiniteQuery({
    queryKey: ['audit', 'list', shape, asked],
    queryFn: ({ pageParam }) => {
      const filters = toQuery(JSON.parse(shape) as Filters, pageParam.now);
      const cursor = pageParam.cursor ?? undefined;
      return call(api.GET('/api/v1/audit', { params: { query: { ...filters, limit: PAGE, cursor } } }));
    },
    // Spans are counted from one time in all pages, since a cursor belongs to its query.
    initialPageParam: { cursor: null as string | null, now: Date.now() },
    getNextPageParam: (page, _pages, last) => (page.next_cursor ? { cursor: page.next_cursor, now: last.now } : undefined),
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const entries = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const pages = query.data?.pages.length ?? 0;
  const { hasNextPage, isFetching, fetchNextPage } = query;
  // A bounded search answers with what it found so far: go on until there is something to look at.
  const isThin = entries.length < 10 && pages > 0 && pages < PATIENCE;
  useEffect(() => {
    if (isThin && hasNextPage && !isFetching) void fetchNextPage();
  }, [isThin, hasNextPage, isFetching, fetchNextPage]);
  return {
    entries,
    error: query.error,
    isLoading: query.isPending,
    isSearching: isFetching,
    hasMore: hasNextPage,
    more: () => void fetchNextPage(),
  };
}

function Foot({ log, shown, filtered, live, onClear }: { log: Log; shown: number; filtered: boolean; live: boolean; onClear: () => void }) {
  if (log.isLoading || (log.isSearching && shown === 0)) {
    return (
      <Group justify="center" p="xl" role="status">
        <Loader size="sm" aria-hidden /> <Text size="sm">Searching the log…</Text>
      </Group>
    );
  }
  if (log.hasMore) {
    return (
      <Group justify="center" p="sm">
        <Button variant="default" onClick={log.more} loading={log.isSearching}>
          {shown === 0 ? 'Nothing found yet: search further back' : 'Older entries'}
        </Button>
      </Group>
    );
  }
  if (shown > 0) {
    return (
      <Text size="sm" c="dimmed" ta="center" p="sm">
        That is all{filtered ? ' that matches' : ''}: {shown.toLocaleString()} {shown === 1 ? 'entry' : 'entries'}.
      </Text>
    );
  }
  if (log.error !== null) return null;
  return (
    <EmptyState icon={IconListSearch} title={live ? 'Nothing has happened yet' : 'Nothing matches'}>
      {filtered ? (
        <>
          No entry has all of these. Loosen a filter, or look at everything.
          <Box mt="md">
            <Button variant="light" onClick={onClear}>
              Clear the filters
            </Button>
          </Box>
        </>
      ) : (
        'Every request, login and change of rights stands here, written down before it happens. Send a request and come back.'
      )}
    </EmptyState>
  );
}

function Export({ filters }: { filters: Filters }) {
  const { may } = useSession();
  if (!may('audit:export', 'audit:own') && !may('audit:export', 'audit:all')) {
    return (
      <Tooltip label="No policy permits you audit:export. In the demo, carol may.">
        <Button variant="default" size="xs" data-disabled aria-disabled leftSection={<IconDownload size={14} aria-hidden />} onClick={(event) => event.preventDefault()}>
          Export
        </Button>
      </Tooltip>
    );
  }
  const to = (format: string) => {
    const query = new URLSearchParams(toQuery(filters, Date.now()) as Record<string, string>);
    query.set('format', format);
    return `/api/v1/audit/export?${query}`;
  };
  const isWhole = Object.keys(filters).length === 0;
  return (
    <Menu position="bottom-end" width={300}>
      <Menu.Target>
        <Button variant="default" size="xs" leftSection={<IconDownload size={14} aria-hidden />}>
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{isWhole ? 'The whole log' : 'What these filters show'}</Menu.Label>
        <Menu.Item component="a" href={to('csv')} download="audit.csv">
          CSV, for a spreadsheet
        </Menu.Item>
        <Menu.Item component="a" href={to('jsonl')} download="audit.jsonl">
          JSON lines, for programs
          <Text size="xs" c="dimmed">
            {isWhole ? 'Can be verified with doorman audit verify' : 'Without filters it can be verified'}
          </Text>
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
