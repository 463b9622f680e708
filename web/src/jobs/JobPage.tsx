/// One job: edited, scheduled, run; with its runs and the history of its edits. At /jobs/new a new one.
import { Alert, Autocomplete, Badge, Button, Code, FileButton, Group, Loader, Paper, SegmentedControl, Select, SimpleGrid, Stack, Switch, Table, Tabs, Text, TextInput, Textarea, Title } from '@mantine/core';
import { IconFileUpload, IconFlask, IconPlayerPlay } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { Body } from '../audit/EntryDetails';
import '../audit/audit.css';
import { useFolders } from '../bulk/BulkPage';
import { PlanForm } from '../bulk/PlanForm';
import { RequestForm } from '../bulk/RequestForm';
import { RowsForm } from '../bulk/RowsForm';
import '../bulk/bulk.css';
import { type Draft, draftOfJob, draftToJob, emptyDraft, rowsOf, usedNames } from '../bulk/draft';
import { planErrors } from '../bulk/plan';
import { nameColumns } from '../bulk/rows';
import { templateErrors } from '../bulk/template';
import { asProblem } from '../client/problem';
import { Ask } from '../components/Ask';
import { ProblemAlert } from '../components/ProblemAlert';
import { Time } from '../components/Time';
import { RunList } from './JobsPage';
import { type Job, type JobSpec, type ScheduleSpec, jobs } from './wire';

export default function JobPage() {
  const { id = 'new' } = useParams();
  const isNew = id === 'new';
  const job = useQuery({ queryKey: ['jobs', 'one', id], queryFn: () => jobs.get(id), enabled: !isNew, refetchOnWindowFocus: false });
  if (job.isError) {
    return (
      <Stack p="md">
        <ProblemAlert problem={asProblem(job.error)} onRetry={() => void job.refetch()} />
      </Stack>
    );
  }
  if (!isNew && job.data === undefined) return <Loader m="xl" role="status" aria-label="Loading the job" />;
  return <Editor key={`${id}${job.data?.version ?? 0}`} job={job.data ?? null} />;
}

function Editor({ job }: { job: Job | null }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const folders = useFolders();
  const [draft, setDraft] = useState<Draft>(() => (job === null ? emptyDraft(folders[0] ?? '') : draftOfJob(job)));
  const [schedule, setSchedule] = useState<ScheduleSpec | undefined>(job?.schedule);
  const [tried, setTried] = useState(false);
  const [removing, setRemoving] = useState(false);
  const rows = useMemo(() => {
    const parsed = rowsOf(draft);
    const uploaded = job?.uploaded?.columns ?? [];
    return parsed.columns.length === 0 && uploaded.length > 0 ? { ...parsed, columns: nameColumns(uploaded) } : parsed;
  }, [draft.text, draft.header, draft.renamed, draft.keepDuplicates, job]);
  const change = (change: Partial<Draft>) => setDraft((draft) => ({ ...draft, ...change }));
  const requestErrors = templateErrors(draft.template, usedNames(rows));
  const errors = { ...requestErrors, ...planErrors(draft.plan, rows.rows.length) };
  const spec = (): JobSpec => ({ ...draftToJob(draft, rows, job ?? undefined), schedule });

  const save = useMutation({
    mutationFn: () => (job === null ? jobs.create(spec()) : jobs.save(job.id, job.version, spec())),
    onSuccess: (saved) => {
      void queries.invalidateQueries({ queryKey: ['jobs'] });
      if (job === null) void navigate(`/jobs/${saved.id}`, { replace: true });
    },
  });
  const start = useMutation({
    mutationFn: (dryRun: boolean) => jobs.start(job?.id ?? '', { dry_run: dryRun, ...(draft.reason && { reason: draft.reason }) }),
    onSuccess: (run) => void navigate(`/runs/${run.id}`),
  });
  const onSave = () => {
    const bad = Object.keys(errors).length > 0 || rows.problems.some((problem) => problem.fatal) || draft.name.trim() === '';
    setTried(bad);
    if (!bad) save.mutate();
  };

  return (
    <Stack p="md" gap="md" maw={1080}>
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={1} size="h3">
            {job === null ? 'New job' : job.name}
          </Title>
          {job !== null && <Badge variant="light">version {job.version}</Badge>}
        </Group>
        <Group gap="xs">
          {job !== null && (
            <>
              <Button size="xs" variant="light" loading={start.isPending} onClick={() => start.mutate(true)} leftSection={<IconFlask size={14} aria-hidden />}>
                Dry run
              </Button>
              <Button size="xs" loading={start.isPending} onClick={() => start.mutate(false)} leftSection={<IconPlayerPlay size={14} aria-hidden />}>
                Run it
              </Button>
              <Button size="xs" variant="default" onClick={() => setRemoving(true)}>
                Delete…
              </Button>
            </>
          )}
          <Button size="xs" variant={job === null ? 'filled' : 'default'} loading={save.isPending} onClick={onSave}>
            Save
          </Button>
        </Group>
      </Group>
      {tried && Object.keys(errors).length > 0 && (
        <Alert color="red" role="alert" title="Not saved yet">
          {Object.values(errors)[0]}
        </Alert>
      )}
      {(save.isError || start.isError) && <ProblemAlert problem={asProblem(save.error ?? start.error)} />}
      <Tabs defaultValue="about" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="about">About</Tabs.Tab>
          <Tabs.Tab value="rows">Rows</Tabs.Tab>
          <Tabs.Tab value="request">Request</Tabs.Tab>
          <Tabs.Tab value="plan">Plan</Tabs.Tab>
          <Tabs.Tab value="schedule">Schedule</Tabs.Tab>
          {job !== null && <Tabs.Tab value="runs">Runs</Tabs.Tab>}
          {job !== null && <Tabs.Tab value="history">History</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="about">
          <Stack gap="sm" maw={640}>
            <TextInput label="Name" required value={draft.name} error={tried && draft.name.trim() === '' ? 'Give it a name' : undefined} onChange={(event) => change({ name: event.currentTarget.value })} />
            <Autocomplete label="Folder" description="Decides who may see, change and run it" required data={folders} value={draft.folder} onChange={(folder) => change({ folder })} />
            <Textarea label="Description" autosize minRows={2} value={draft.description} onChange={(event) => change({ description: event.currentTarget.value })} />
            {job !== null && <TextInput label="Reason for the next run" description="Goes into the audit log" value={draft.reason} onChange={(event) => change({ reason: event.currentTarget.value })} />}
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="rows">
          <Stack gap="md">
            {job !== null && <Uploaded job={job} />}
            <RowsForm draft={draft} rows={rows} onChange={change} />
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="request">
          <RequestForm template={draft.template} rows={rows} showErrors={tried} errors={requestErrors} onChange={(template) => setDraft((draft) => ({ ...draft, template: { ...draft.template, ...template } }))} />
        </Tabs.Panel>
        <Tabs.Panel value="plan">
          <PlanForm plan={draft.plan} rows={rows.rows.length} errors={errors} onChange={(plan) => setDraft((draft) => ({ ...draft, plan: { ...draft.plan, ...plan } }))} />
        </Tabs.Panel>
        <Tabs.Panel value="schedule">
          <ScheduleForm schedule={schedule} nextRunAt={job?.next_run_at ?? null} onChange={setSchedule} />
        </Tabs.Panel>
        {job !== null && (
          <>
            <Tabs.Panel value="runs">
              <RunList job={job.id} />
            </Tabs.Panel>
            <Tabs.Panel value="history">
              <History job={job} />
            </Tabs.Panel>
          </>
        )}
      </Tabs>
      {removing && job !== null && (
        <Ask
          title={`Delete ${job.name}?`}
          verb="Delete it"
          text="Its schedule ends with it. Its runs, and what they sent, stay in the audit log."
          run={async () => {
            await jobs.remove(job.id, job.version);
            await queries.invalidateQueries({ queryKey: ['jobs'] });
            await navigate('/jobs');
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </Stack>
  );
}

/// Rows that are too many for the page: a file that goes to the server as it is.
function Uploaded({ job }: { job: Job }) {
  const queries = useQueryClient();
  const upload = useMutation({
    mutationFn: (file: File) => jobs.upload(job.id, file, /\.(jsonl|ndjson)$/i.test(file.name) ? 'application/jsonl' : 'text/csv'),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['jobs'] }),
  });
  return (
    <Paper withBorder p="sm">
      <Group>
        <Text size="sm">
          {job.uploaded ? `Uploaded: ${job.uploaded.rows.toLocaleString()} rows with ${job.uploaded.columns.join(', ')}.` : 'Up to a million rows can be uploaded as a file, as they are.'}
        </Text>
        <FileButton onChange={(file) => file && upload.mutate(file)} accept=".csv,.jsonl,.ndjson,text/csv">
          {(props) => (
            <Button {...props} size="xs" variant="default" loading={upload.isPending} leftSection={<IconFileUpload size={14} aria-hidden />}>
              Upload a file…
            </Button>
          )}
        </FileButton>
      </Group>
      {upload.isError && <ProblemAlert problem={asProblem(upload.error)} />}
    </Paper>
  );
}

const CRONS = [
  { value: '0 6 * * *', label: 'every day at 06:00' },
  { value: '0 6 * * 1-5', label: 'on weekdays at 06:00' },
  { value: '0 * * * *', label: 'every hour' },
  { value: '0 6 1 * *', label: 'on the first of the month at 06:00' },
];

function ScheduleForm({ schedule, nextRunAt, onChange }: { schedule: ScheduleSpec | undefined; nextRunAt: string | null; onChange: (schedule: ScheduleSpec | undefined) => void }) {
  if (schedule === undefined) {
    return (
      <Stack gap="sm" align="start">
        <Text size="sm" c="dimmed" maw={560}>
          This job runs when somebody starts it. With a schedule it also runs by itself, as whoever saved the schedule last, and with that person’s rights at that time.
        </Text>
        <Button size="xs" variant="light" onClick={() => onChange({ cron: '0 6 * * 1-5', time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone, missed: 'skip', overlap: 'skip' })}>
          Add a schedule
        </Button>
      </Stack>
    );
  }
  const set = (change: Partial<ScheduleSpec>) => onChange({ ...schedule, ...change });
  const zones = ['UTC', ...Intl.supportedValuesOf('timeZone')];
  return (
    <Stack gap="sm" maw={720}>
      <Group gap="xs">
        {CRONS.map((known) => (
          <Button key={known.value} size="compact-xs" variant={known.value === schedule.cron ? 'filled' : 'light'} onClick={() => set({ cron: known.value })}>
            {known.label}
          </Button>
        ))}
      </Group>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <TextInput label="Cron" description="Minute, hour, day, month, weekday" className="mono" required value={schedule.cron} onChange={(event) => set({ cron: event.currentTarget.value })} />
        <Select label="Time zone" description="Daylight saving is observed" searchable data={[...new Set(zones)]} value={schedule.time_zone ?? 'UTC'} onChange={(zone) => set({ time_zone: zone ?? 'UTC' })} />
      </SimpleGrid>
      <Group gap="lg">
        <div>
          <Text size="sm" id="missed">
            Times that were missed
          </Text>
          <SegmentedControl size="xs" aria-labelledby="missed" data={[{ value: 'skip', label: 'are left out' }, { value: 'run_once', label: 'become one run' }]} value={schedule.missed ?? 'skip'} onChange={(missed) => set({ missed: missed as ScheduleSpec['missed'] })} />
        </div>
        <div>
          <Text size="sm" id="overlap">
            While the run before goes on
          </Text>
          <SegmentedControl size="xs" aria-labelledby="overlap" data={[{ value: 'skip', label: 'leave it out' }, { value: 'queue', label: 'wait for its end' }]} value={schedule.overlap ?? 'skip'} onChange={(overlap) => set({ overlap: overlap as ScheduleSpec['overlap'] })} />
        </div>
      </Group>
      <Switch label="Rests for now" checked={schedule.paused ?? false} onChange={(event) => set({ paused: event.currentTarget.checked })} />
      <Text size="sm" c="dimmed">
        {schedule.run_as && `Runs as ${schedule.run_as}. `}
        {nextRunAt ? <>Next: <Time at={nextRunAt} /></> : 'Save to see when it runs next.'}
      </Text>
      <div>
        <Button size="xs" variant="default" onClick={() => onChange(undefined)}>
          Remove the schedule
        </Button>
      </div>
    </Stack>
  );
}

/// What was done to a job, for people.
const ACTIONS: Record<string, string> = { create: 'created', input: 'rows uploaded' };

function History({ job }: { job: Job }) {
  const history = useQuery({ queryKey: ['jobs', 'history', job.id, job.version], queryFn: () => jobs.history(job.id) });
  const [shown, setShown] = useState<number | null>(null);
  if (history.isError) return <ProblemAlert problem={asProblem(history.error)} />;
  const edits = history.data?.items ?? [];
  return (
    <Table fz="sm" verticalSpacing={6}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w={90}>Version</Table.Th>
          <Table.Th>When</Table.Th>
          <Table.Th>Who</Table.Th>
          <Table.Th>What</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {edits.map((edit, index) => (
          <Table.Tr key={`${edit.version}${edit.action}`}>
            <Table.Td>{edit.version}</Table.Td>
            <Table.Td>
              <Time at={edit.at} />
            </Table.Td>
            <Table.Td>{edit.by.replace(/^user:/, '')}</Table.Td>
            <Table.Td>
              {ACTIONS[edit.action] ?? edit.action} {changed(edit.spec, edits[index + 1]?.spec).map((name) => <Code key={name} mr={4}>{name}</Code>)}
              <Button size="compact-xs" variant="subtle" onClick={() => setShown(shown === edit.version ? null : edit.version)} aria-expanded={shown === edit.version}>
                {shown === edit.version ? 'Hide' : 'Show'}
              </Button>
              {shown === edit.version && <Body text={JSON.stringify(edit.spec, null, 2)} label={`Version ${edit.version}`} />}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/// The parts in which two versions differ.
function changed(now: JobSpec, before: JobSpec | undefined): string[] {
  if (before === undefined) return [];
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])] as (keyof JobSpec)[];
  return names.filter((name) => JSON.stringify(now[name]) !== JSON.stringify(before[name]));
}
