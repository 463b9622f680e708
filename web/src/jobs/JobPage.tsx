/// One job: edited, scheduled, run; with its runs and the history of its edits. At /jobs/new a new one.
import { Alert, Autocomplete, Badge, Button, FileButton, Group, Loader, Paper, Stack, Tabs, Text, TextInput, Textarea, Title, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconFileUpload, IconFlask, IconPlayerPlay } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';
import { formatBytes } from '../components/bytes';
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
import { JobHistory } from './JobHistory';
import { RunList } from './JobsPage';
import { ScheduleForm } from './ScheduleForm';
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
  const [params, setParams] = useSearchParams();
  const tab = params.get('tab') ?? 'about';
  const [initial] = useState<Draft>(() => (job === null ? emptyDraft(folders[0] ?? '') : draftOfJob(job)));
  const [draft, setDraft] = useState(initial);
  const [schedule, setSchedule] = useState<ScheduleSpec | null>(job?.schedule ?? null);
  const [tried, setTried] = useState(false);
  const [removing, setRemoving] = useState(false);
  const rows = useMemo(() => {
    const parsed = rowsOf(draft);
    const uploaded = job?.uploaded?.columns ?? [];
    return parsed.columns.length === 0 && uploaded.length > 0 ? { ...parsed, columns: nameColumns(uploaded) } : parsed;
  }, [draft.text, draft.header, draft.renamed, draft.duplicates, draft.key, job]);
  const change = (change: Partial<Draft>) => setDraft((draft) => ({ ...draft, ...change }));
  const requestErrors = templateErrors(draft.template, usedNames(rows));
  const errors = { ...requestErrors, ...planErrors(draft.plan, rows.rows.length || (job?.uploaded?.rows ?? 0)) };
  const spec = (): JobSpec => ({ ...draftToJob(draft, rows), ...(schedule && { schedule }) });
  // What runs is what was saved.
  const isChanged = schedule !== (job?.schedule ?? null) || (Object.keys(draft) as (keyof Draft)[]).some((part) => draft[part] !== initial[part]);

  const save = useMutation({
    mutationFn: () => (job === null ? jobs.create(spec()) : jobs.save(job.id, job.version, spec())),
    onSuccess: (saved) => {
      void queries.invalidateQueries({ queryKey: ['jobs'] });
      notifications.show({ message: `Saved “${saved.name}”.` });
      if (job === null) void navigate(`/jobs/${saved.id}?tab=${tab}`, { replace: true });
    },
  });
  const start = useMutation({
    mutationFn: (dryRun: boolean) => jobs.start(job?.id ?? '', { dry_run: dryRun }),
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
              <Button size="xs" variant="light" loading={start.isPending && start.variables} disabled={isChanged || start.isPending} onClick={() => start.mutate(true)} leftSection={<IconFlask size={14} aria-hidden />}>
                Dry run
              </Button>
              <Tooltip label="Save first: what runs is what was saved" disabled={!isChanged}>
                <Button size="xs" loading={start.isPending && !start.variables} disabled={isChanged || start.isPending} onClick={() => start.mutate(false)} leftSection={<IconPlayerPlay size={14} aria-hidden />}>
                  Run it
                </Button>
              </Tooltip>
              <Button size="xs" variant="default" onClick={() => setRemoving(true)}>
                Delete…
              </Button>
            </>
          )}
          <Button size="xs" variant={job === null || isChanged ? 'filled' : 'default'} loading={save.isPending} onClick={onSave}>
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
      <Tabs value={tab} onChange={(tab) => setParams({ tab: tab ?? 'about' }, { replace: true })} keepMounted={false}>
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
            <TextInput label="Reason" description="Goes into the audit log with each run. Some policies ask for one." value={draft.reason} onChange={(event) => change({ reason: event.currentTarget.value })} />
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="rows">
          <Stack gap="md">
            <RowsForm draft={draft} rows={rows} onChange={change} />
            {job !== null && <Uploaded job={job} draft={draft} />}
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="request">
          <RequestForm template={draft.template} rows={rows} showErrors={tried} errors={requestErrors} onChange={(template) => setDraft((draft) => ({ ...draft, template: { ...draft.template, ...template } }))} />
        </Tabs.Panel>
        <Tabs.Panel value="plan">
          <PlanForm plan={draft.plan} rows={rows.rows.length || (job?.uploaded?.rows ?? 0)} regions={draft.template.regions} errors={errors} onChange={(plan) => setDraft((draft) => ({ ...draft, plan: { ...draft.plan, ...plan } }))} />
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
              <JobHistory job={job} />
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
function Uploaded({ job, draft }: { job: Job; draft: Draft }) {
  const queries = useQueryClient();
  const upload = useMutation({
    mutationFn: (file: File) =>
      jobs.upload(job.id, file, /\.(jsonl|ndjson)$/i.test(file.name) ? 'application/jsonl' : 'text/csv', { key: draft.key, duplicates: draft.duplicates }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['jobs'] }),
  });
  const { uploaded } = job;
  return (
    <Paper withBorder p="sm">
      <Group>
        <Text size="sm">
          {uploaded
            ? `Uploaded: ${(uploaded.rows ?? 0).toLocaleString()} rows (${formatBytes(uploaded.bytes ?? 0)}) with ${uploaded.columns?.join(', ')}.${uploaded.duplicates ? ` ${uploaded.duplicates.toLocaleString()} repeated ones were left out.` : ''}`
            : 'Too many rows for this page? Up to a million can be uploaded as a file, once the job is saved.'}
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
