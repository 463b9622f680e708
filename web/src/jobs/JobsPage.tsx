/// Saved jobs by folder, and the latest runs.
import { Anchor, Button, Group, Loader, Stack, Table, Tabs, Text, TextInput, Title } from '@mantine/core';
import { IconCalendarTime, IconPlus, IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { EmptyState } from '../components/EmptyState';
import { Pages, usePages } from '../components/Pages';
import { Time } from '../components/Time';
import { RunBadge } from './RunPage';
import { type Job, jobs, runs } from './wire';

export default function JobsPage() {
  const [params, setParams] = useSearchParams();
  const tab = params.get('tab') === 'runs' ? 'runs' : 'jobs';
  return (
    <Stack p="md" gap="md" maw={1180}>
      <Group justify="space-between">
        <div>
          <Title order={1} size="h3">
            Jobs
          </Title>
          <Text size="sm" c="dimmed">
            Bulk requests that are kept: to run again, on a schedule, or by colleagues.
          </Text>
        </div>
        <Button size="xs" component={Link} to="/jobs/new" leftSection={<IconPlus size={14} aria-hidden />}>
          New job
        </Button>
      </Group>
      <Tabs value={tab} onChange={(value) => setParams(value === 'runs' ? { tab: 'runs' } : {})} keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="jobs">Saved jobs</Tabs.Tab>
          <Tabs.Tab value="runs">Runs</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="jobs">
          <JobList folder={params.get('folder') ?? ''} onFolder={(folder) => setParams(folder ? { folder } : {})} />
        </Tabs.Panel>
        <Tabs.Panel value="runs">
          <RunList />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function JobList({ folder, onFolder }: { folder: string; onFolder: (folder: string) => void }) {
  const [q, setQ] = useState('');
  const [asked, setAsked] = useState('');
  const { query: list, items: found } = usePages(['jobs', folder, asked], (cursor) => jobs.list({ folder, q: asked, cursor }));
  const byFolder = groupByFolder(found);
  return (
    <Stack gap="md">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(q);
        }}
      >
        <Group gap="xs">
          <TextInput size="xs" aria-label="Search jobs" placeholder="Search by name" w={260} leftSection={<IconSearch size={14} aria-hidden />} value={q} onChange={(event) => setQ(event.currentTarget.value)} />
          {folder && (
            <Button size="xs" variant="default" onClick={() => onFolder('')}>
              Folder {folder} ×
            </Button>
          )}
        </Group>
      </form>
      <Pages
        query={list}
        isEmpty={found.length === 0}
        empty={
          <EmptyState icon={IconCalendarTime} title="No jobs that you may see">
            A job is a bulk request with a name: rows, request and plan. Make one, or start with <Link to="/bulk">Bulk</Link>, which
            keeps what it ran.
          </EmptyState>
        }
      >
        {[...byFolder].map(([name, list]) => (
          <Stack key={name} gap={4} component="section">
            <Title order={2} size="h5">
              <Anchor component="button" type="button" inherit onClick={() => onFolder(name)}>
                {name}
              </Anchor>
            </Title>
            <Table.ScrollContainer minWidth={640}>
              <Table fz="sm" verticalSpacing={6} highlightOnHover>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Name</Table.Th>
                    <Table.Th>Request</Table.Th>
                    <Table.Th>Schedule</Table.Th>
                    <Table.Th>Changed</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {list.map((job) => (
                    <Table.Tr key={job.id}>
                      <Table.Td>
                        <Anchor component={Link} to={`/jobs/${job.id}`} size="sm" fw={500}>
                          {job.name}
                        </Anchor>
                      </Table.Td>
                      <Table.Td ff="monospace" fz="xs">
                        {job.request?.method} {job.request?.region ?? job.request?.regions?.join(',')}/{job.request?.service}
                        {job.request?.path}
                      </Table.Td>
                      <Table.Td>{job.next_run_at ? <>next <Time at={job.next_run_at} /></> : job.schedule ? 'paused' : '–'}</Table.Td>
                      <Table.Td>
                        <Time at={job.updated_at} /> by {job.updated_by.replace(/^user:/, '')}
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          </Stack>
        ))}
      </Pages>
    </Stack>
  );
}

export function RunList({ job }: { job?: string }) {
  const { query: list, items: found } = usePages(['runs', 'list', job], (cursor) => runs.list({ job, cursor }), 10_000);
  return (
    <Pages
      query={list}
      isEmpty={found.length === 0}
      empty={
        <EmptyState icon={IconCalendarTime} title="No runs yet">
          Runs of jobs and bulk requests that you may see stand here.
        </EmptyState>
      }
    >
      <Table.ScrollContainer minWidth={680}>
        <Table fz="sm" verticalSpacing={6} highlightOnHover>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Run</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th ta="right">Done</Table.Th>
              <Table.Th ta="right">Failed</Table.Th>
              <Table.Th ta="right">Left</Table.Th>
              <Table.Th>Started</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {found.map((run) => (
              <Table.Tr key={run.id}>
                <Table.Td>
                  <Anchor component={Link} to={`/runs/${run.id}`} size="sm" fw={500}>
                    {run.name || run.id}
                  </Anchor>
                </Table.Td>
                <Table.Td>
                  <RunBadge run={run} />
                </Table.Td>
                <Table.Td ta="right">{(run.counts.done ?? 0).toLocaleString()}</Table.Td>
                <Table.Td ta="right">{((run.counts.failed ?? 0) + (run.counts.unknown ?? 0)).toLocaleString()}</Table.Td>
                <Table.Td ta="right">{((run.counts.pending ?? 0) + (run.counts.sending ?? 0)).toLocaleString()}</Table.Td>
                <Table.Td>
                  {run.started_at ? <Time at={run.started_at} /> : <Loader size={12} role="status" aria-label="not yet" />} by {run.started_by.replace(/^user:/, '')}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Pages>
  );
}

function groupByFolder(found: Job[]): Map<string, Job[]> {
  const groups = new Map<string, Job[]>();
  for (const job of found) {
    const folder = job.folder ?? '';
    groups.set(folder, [...(groups.get(folder) ?? []), job]);
  }
  return groups;
}
