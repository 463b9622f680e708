/// One run: how far it is, what to do about it, what failed and why, and its results.
import { Alert, Anchor, Badge, Button, Group, Loader, Menu, Paper, Progress, SegmentedControl, SimpleGrid, Stack, Table, Text, Title } from '@mantine/core';
import { IconDownload, IconPlayerPause, IconPlayerPlay, IconPlayerSkipForward, IconPlayerStop, IconRefresh } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Suspense, lazy, useEffect, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { useCommands } from '../app/commands';
import { Inert } from '../audit/Inert';
import { asProblem } from '../client/problem';
import { Ask } from '../components/Ask';
import { usePages } from '../components/Pages';
import { ProblemAlert } from '../components/ProblemAlert';
import { Time, formatDistance } from '../components/Time';
import '../audit/audit.css';
import '../bulk/bulk.css';
import { type Counts, ITEM_STATES, type ItemState, groupCauses } from './outcomes';
import { useRun } from './progress';
import { type Run, type RunState, isAtRest, isOver, runs } from './wire';

const OutcomeChart = lazy(() => import('./OutcomeChart'));

const STATES: Record<RunState, { label: string; color: string; text: string }> = {
  queued: { label: 'queued', color: 'gray', text: 'It begins in a moment.' },
  running: { label: 'running', color: 'blue', text: 'Requests are being sent.' },
  waiting: { label: 'waiting', color: 'yellow', text: 'The wave has ended. Look at what came of it, then open the gate.' },
  paused: { label: 'paused', color: 'yellow', text: 'Nothing more is sent until somebody resumes it.' },
  stopped: { label: 'stopped itself', color: 'red', text: 'Look at the causes; resume if you know better, or cancel.' },
  cancelled: { label: 'cancelled', color: 'gray', text: 'What had not been sent was left out.' },
  done: { label: 'finished', color: 'green', text: 'Every row has been dealt with.' },
};
const SPOILED = 'Every row has been dealt with, but not all of them succeeded.';
const APPROVAL = 'The wave has ended. Somebody else than who started the run must look at what came of it, and open the gate.';
const COLORS: Record<ItemState, string> = { done: 'teal.7', failed: 'red.7', unknown: 'grape.6', skipped: 'gray.6', sending: 'blue.5', pending: 'gray.3' };

/// Finished is not the same as well.
function isSpoiled({ state, counts }: Pick<Run, 'state' | 'counts'>): boolean {
  return state === 'done' && counts.failed + counts.unknown > 0;
}

export function RunBadge({ run }: { run: Pick<Run, 'state' | 'dry_run' | 'counts'> }) {
  const state = STATES[run.state];
  return (
    <Group gap={4} wrap="nowrap">
      <Badge color={isSpoiled(run) ? 'yellow' : state.color} variant="light">
        {state.label}
      </Badge>
      {run.dry_run && (
        <Badge color="gray" variant="outline">
          dry run
        </Badge>
      )}
    </Group>
  );
}

export default function RunPage() {
  const { id = '' } = useParams();
  const { run, samples, refresh } = useRun(id);
  if (run.isError && run.data === undefined) {
    return (
      <Stack p="md">
        <ProblemAlert problem={asProblem(run.error)} onRetry={() => void run.refetch()} />
      </Stack>
    );
  }
  if (run.data === undefined) return <Loader m="xl" role="status" aria-label="Loading the run" />;
  const { data } = run;
  const state = STATES[data.state];
  return (
    <Stack p="md" gap="md" maw={1180}>
      <Group justify="space-between" align="start">
        <div>
          <Group gap="sm">
            <Title order={1} size="h3">
              {data.name || 'Run'}
            </Title>
            <RunBadge run={data} />
          </Group>
          <Text size="sm" c="dimmed">
            <Anchor component={Link} to={`/jobs/${data.job}`} size="sm" underline="always">
              The job
            </Anchor>
            {' · '}
            {data.started_by.replace(/^user:/, '')}
            {data.started_at && (
              <>
                {', '}
                <Time at={data.started_at} />
              </>
            )}
            {data.reason && (
              <>
                {' · '}
                <Inert>{data.reason}</Inert>
              </>
            )}
          </Text>
        </div>
        <Controls run={data} onChange={refresh} />
      </Group>
      <Paper withBorder p="md" role="status">
        <Text size="sm" mb="xs">
          {data.why && <Inert>{`${sentence(data.why)} `}</Inert>}
          {(!data.why || data.state === 'stopped') && (data.gate === 'approval' ? APPROVAL : isSpoiled(data) ? SPOILED : state.text)}{' '}
          {data.state === 'waiting' && data.gate_opens_at && `It opens by itself ${formatDistance(data.gate_opens_at)}.`}
          {(data.waves ?? 0) > 1 && ` Wave ${Math.min(data.wave + 1, data.waves ?? 1)} of ${data.waves}.`}
          {data.state === 'running' && data.rate != null && data.rate > 0 && ` ${data.rate.toFixed(data.rate < 10 ? 1 : 0)} a second.`}
          {data.state === 'running' && data.eta && ` It will end ${formatDistance(data.eta)}.`}
        </Text>
        <Counted counts={data.counts} />
      </Paper>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Paper withBorder p="md" component="section">
          <Title order={2} size="h5" mb="xs">
            Over time
          </Title>
          {samples.length < 2 ? (
            <Text size="sm" c="dimmed">
              A line appears once something has ended.
            </Text>
          ) : (
            <Suspense fallback={<Loader size="sm" role="status" aria-label="Loading the chart" />}>
              <div role="img" aria-label={describe(data.counts)}>
                <OutcomeChart samples={samples} />
              </div>
            </Suspense>
          )}
        </Paper>
        <Causes run={data} onRetried={refresh} />
      </SimpleGrid>
      <Items run={data} />
    </Stack>
  );
}

/// The server's reason as a sentence.
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

function total(counts: Counts): number {
  return ITEM_STATES.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
}

function describe(counts: Counts): string {
  const parts = ITEM_STATES.filter((state) => (counts[state] ?? 0) > 0).map((state) => `${counts[state]} ${state}`);
  return `Of ${total(counts)}: ${parts.join(', ')}`;
}

function Counted({ counts }: { counts: Counts }) {
  const all = total(counts) || 1;
  return (
    <>
      <Progress.Root size="lg" role="group" aria-label={describe(counts)}>
        {ITEM_STATES.filter((state) => state !== 'pending').map((state) => (
          <Progress.Section key={state} value={(100 * (counts[state] ?? 0)) / all} color={COLORS[state]} aria-label={state} />
        ))}
      </Progress.Root>
      <Group gap="lg" mt="xs">
        {ITEM_STATES.map((state) => (
          <Text key={state} size="sm" c={(counts[state] ?? 0) > 0 ? undefined : 'dimmed'}>
            <b data-count={state}>{(counts[state] ?? 0).toLocaleString()}</b> {state}
          </Text>
        ))}
      </Group>
    </>
  );
}

function Controls({ run, onChange }: { run: Run; onChange: () => void }) {
  const [cancelling, setCancelling] = useState(false);
  const control = useMutation({ mutationFn: (what: 'pause' | 'resume' | 'cancel' | 'advance') => runs.control(run.id, what), onSettled: onChange });
  const can = {
    pause: run.state === 'running' || run.state === 'waiting' || run.state === 'queued',
    resume: run.state === 'paused' || run.state === 'stopped',
    advance: run.state === 'waiting',
    cancel: !isOver(run.state),
  };
  useCommands([
    ...(can.pause ? [{ id: 'run.pause', label: 'Pause this run', group: 'Run', run: () => control.mutate('pause') }] : []),
    ...(can.resume ? [{ id: 'run.resume', label: 'Resume this run', group: 'Run', run: () => control.mutate('resume') }] : []),
    ...(can.advance ? [{ id: 'run.advance', label: 'Open the gate of this run', group: 'Run', run: () => control.mutate('advance') }] : []),
  ]);
  return (
    <Stack gap="xs" align="end">
      <Group gap="xs">
        {can.advance && (
          <Button size="xs" onClick={() => control.mutate('advance')} loading={control.isPending} leftSection={<IconPlayerSkipForward size={14} aria-hidden />}>
            Open the gate
          </Button>
        )}
        {can.resume && (
          <Button size="xs" onClick={() => control.mutate('resume')} loading={control.isPending} leftSection={<IconPlayerPlay size={14} aria-hidden />}>
            Resume
          </Button>
        )}
        {can.pause && (
          <Button size="xs" variant="default" onClick={() => control.mutate('pause')} loading={control.isPending} leftSection={<IconPlayerPause size={14} aria-hidden />}>
            Pause
          </Button>
        )}
        {can.cancel && (
          <Button size="xs" variant="default" onClick={() => setCancelling(true)} leftSection={<IconPlayerStop size={14} aria-hidden />}>
            Cancel…
          </Button>
        )}
        <Menu position="bottom-end">
          <Menu.Target>
            <Button size="xs" variant="default" leftSection={<IconDownload size={14} aria-hidden />}>
              Results
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item component="a" href={runs.results(run.id, 'csv')} download={`run-${run.id}.csv`}>
              CSV, joined to your rows
            </Menu.Item>
            <Menu.Item component="a" href={runs.results(run.id, 'jsonl')} download={`run-${run.id}.jsonl`}>
              JSON lines
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </Group>
      {control.isError && <ProblemAlert problem={asProblem(control.error)} />}
      {cancelling && (
        <Ask
          title="Cancel this run?"
          verb="Cancel the run"
          text="What is on its way ends; what was not sent is left out for good. To go on later, pause it instead."
          run={() => control.mutateAsync('cancel')}
          onClose={() => setCancelling(false)}
        />
      )}
    </Stack>
  );
}

/// Failures by cause: as the server counts them, else as the first failed items tell.
function Causes({ run, onRetried }: { run: Run; onRetried: () => void }) {
  const navigate = useNavigate();
  const failed = run.counts.failed ?? 0;
  const unknown = run.counts.unknown ?? 0;
  const retry = useMutation({
    mutationFn: (withUnknown: boolean) => runs.retryFailed(run.id, withUnknown),
    onSuccess: (again) => {
      if (again && again.id !== run.id) void navigate(`/runs/${again.id}`);
      onRetried();
    },
  });
  const counted = run.errors ?? [];
  return (
    <Paper withBorder p="md" component="section">
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h5">
          What failed
        </Title>
        {failed > 0 && (
          <Button size="xs" variant="light" loading={retry.isPending} onClick={() => retry.mutate(false)} leftSection={<IconRefresh size={14} aria-hidden />}>
            Retry the {failed.toLocaleString()} failed
          </Button>
        )}
      </Group>
      {failed + unknown === 0 && (
        <Text size="sm" c="dimmed">
          {isOver(run.state) ? 'Nothing.' : 'Nothing so far.'}
        </Text>
      )}
      <Table fz="sm" verticalSpacing={4}>
        <Table.Tbody>
          {counted.map((cause) => (
            <Table.Tr key={cause.error}>
              <Table.Td ta="right" w={80} fw={600}>
                {(cause.count ?? 0).toLocaleString()}
              </Table.Td>
              <Table.Td>
                <Inert>{cause.error ?? ''}</Inert>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {unknown > 0 && (
        <Alert color="grape" mt="xs" title={`Of ${unknown.toLocaleString()} nobody knows whether they arrived`}>
          <Text size="sm">Look at the service first. Sending them again may do a thing twice.</Text>
          <Button size="compact-xs" variant="default" mt={6} onClick={() => retry.mutate(true)}>
            Send failed and unknown ones again
          </Button>
        </Alert>
      )}
      {retry.isError && <ProblemAlert problem={asProblem(retry.error)} />}
    </Paper>
  );
}

function Items({ run }: { run: Run }) {
  const [state, setState] = useState<ItemState | ''>('');
  const { query: list, items: items } = usePages(['runs', run.id, 'items', state], (cursor) => runs.items(run.id, { state, limit: 50, cursor }), isAtRest(run) ? false : 5_000);
  const { refetch } = list;
  // Once more when it comes to rest.
  useEffect(() => void refetch(), [run.state, run.ended_at, refetch]);
  const causes = groupCauses(items.filter((item) => item.state === 'failed' || item.state === 'unknown'));
  return (
    <Paper withBorder p="md" component="section">
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h5">
          Rows
        </Title>
        <SegmentedControl
          size="xs"
          aria-label="Rows by state"
          value={state}
          onChange={(value) => setState(value as ItemState | '')}
          data={[{ value: '', label: 'All' }, ...ITEM_STATES.filter((name) => (run.counts[name] ?? 0) > 0).map((name) => ({ value: name, label: name }))]}
        />
      </Group>
      {list.isError && <ProblemAlert problem={asProblem(list.error)} onRetry={() => void list.refetch()} />}
      {causes.length > 1 && (
        <Text size="xs" c="dimmed" mb="xs">
          Here: {causes.map((cause) => `${cause.count} × ${cause.status ?? cause.error ?? cause.state}`).join(', ')}
        </Text>
      )}
      <Table.ScrollContainer minWidth={640}>
        <Table fz="sm" verticalSpacing={4} aria-label="Rows of the run">
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={70}>Row</Table.Th>
              <Table.Th>Input</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th>Status</Table.Th>
              <Table.Th>Why</Table.Th>
              <Table.Th>Tries</Table.Th>
              <Table.Th>In the log</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items.map((item) => (
              <Table.Tr key={item.index}>
                <Table.Td>{item.index + 1}</Table.Td>
                <Table.Td ff="monospace" maw={320} style={{ overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' }}>
                  <Inert>{Object.entries(item.input ?? {}).map(([name, value]) => `${name}=${value}`).join(' ')}</Inert>
                </Table.Td>
                <Table.Td>{item.state}</Table.Td>
                <Table.Td>{item.status ?? ''}</Table.Td>
                <Table.Td maw={260}>{item.error && <Inert>{item.error}</Inert>}</Table.Td>
                <Table.Td>{item.attempts}</Table.Td>
                <Table.Td>
                  {item.audit_id && (
                    <Anchor component={Link} to={`/audit/${item.audit_id}`} size="sm" aria-label={`Audit entry of row ${item.index + 1}`}>
                      entry
                    </Anchor>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {list.hasNextPage && (
        <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          More rows
        </Button>
      )}
    </Paper>
  );
}
