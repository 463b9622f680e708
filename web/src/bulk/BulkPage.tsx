/// One request for many rows, step by step: rows, request, plan, look, start.
import { Alert, Anchor, Autocomplete, Button, Group, Loader, Paper, Stack, Stepper, Text, TextInput, Title } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { IconFlask, IconRocket } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useDeferredValue, useMemo, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { useCommands } from '../app/commands';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { useRun } from '../jobs/progress';
import { type Run, isOver, jobs } from '../jobs/wire';
import { useSession } from '../session/session';
import { PlanForm, WaveBar } from './PlanForm';
import { RequestForm } from './RequestForm';
import { RowsForm } from './RowsForm';
import './bulk.css';
import { type Draft, draftToJob, emptyDraft, rowsOf, usedNames } from './draft';
import { planErrors, waveSizes } from './plan';
import type { ParsedRows } from './rows';
import { templateErrors } from './template';

/// The folders in which one may make jobs.
export function useFolders(): string[] {
  const { me } = useSession();
  return me.may.filter((right) => right.action === 'job:create').map((right) => right.resource.replace(/^folder:/, ''));
}

export default function BulkPage() {
  const folders = useFolders();
  const navigate = useNavigate();
  // Kept until the tab is closed, so that a reload loses nothing.
  const [draft, setDraft, clear] = useSessionStorage<Draft>({ key: 'doorman.bulk-draft', defaultValue: emptyDraft(folders[0] ?? ''), getInitialValueInEffect: false });
  const [step, setStep] = useState(0);
  const [tried, setTried] = useState(false);
  const change = (change: Partial<Draft>) => setDraft((draft) => ({ ...draft, ...change }));
  const source = useDeferredValue(draft);
  const rows = useMemo(() => rowsOf(source), [source.text, source.header, source.renamed, source.duplicates, source.key]);
  const problems = [
    rows.rows.length === 0 || rows.problems.some((problem) => problem.fatal),
    Object.keys(templateErrors(draft.template, usedNames(rows))).length > 0,
    Object.keys(planErrors(draft.plan, rows.rows.length)).length > 0,
  ];

  function go(to: number) {
    const blocked = problems.findIndex((problem, index) => problem && index < to);
    setTried(blocked !== -1);
    setStep(blocked === -1 ? to : Math.max(blocked, Math.min(step, to)));
  }
  useCommands([{ id: 'bulk.new', label: 'Begin a new bulk run', group: 'Bulk', run: () => { clear(); setStep(0); } }]);

  return (
    <Stack p="md" gap="md" maw={1080}>
      <Group justify="space-between">
        <div>
          <Title order={1} size="h3">
            Bulk
          </Title>
          <Text size="sm" c="dimmed">
            The same request for many ids, a few first. To keep it for later or run it on a schedule, make a{' '}
            <Link to="/jobs/new">job</Link>.
          </Text>
        </div>
        {draft.text !== '' && (
          <Button size="xs" variant="subtle" onClick={() => { clear(); setStep(0); setTried(false); }}>
            Start over
          </Button>
        )}
      </Group>
      {folders.length === 0 && (
        <Alert color="yellow" title="You may look, but not start">
          No policy permits you job:create in any folder, so the last step will be refused. In the demo, dave may in the folder “ops”, alice in “dev”.
        </Alert>
      )}
      <Stepper active={step} onStepClick={go} size="sm">
        <Stepper.Step label="Rows" description={rows.rows.length > 0 ? `${rows.rows.length.toLocaleString()} rows` : 'Paste or drop'}>
          <RowsForm draft={draft} rows={rows} onChange={change} />
        </Stepper.Step>
        <Stepper.Step label="Request" description="What each row sends">
          <RequestForm template={draft.template} rows={rows} showErrors={tried} errors={templateErrors(draft.template, usedNames(rows))} onChange={(template) => setDraft((draft) => ({ ...draft, template: { ...draft.template, ...template } }))} />
        </Stepper.Step>
        <Stepper.Step label="Plan" description="Waves and limits">
          <PlanForm plan={draft.plan} rows={rows.rows.length} regions={draft.template.regions} errors={planErrors(draft.plan, rows.rows.length)} onChange={(plan) => setDraft((draft) => ({ ...draft, plan: { ...draft.plan, ...plan } }))} />
        </Stepper.Step>
        <Stepper.Step label="Start" description="Try dry, then go">
          <Start draft={draft} rows={rows} folders={folders} onChange={change} onStarted={(run) => { clear(); void navigate(`/runs/${run.id}`); }} />
        </Stepper.Step>
      </Stepper>
      <Group justify="space-between">
        <Button variant="default" disabled={step === 0} onClick={() => setStep(step - 1)}>
          Back
        </Button>
        {step < 3 && (
          <Group gap="sm">
            {tried && problems[step] && (
              <Text size="sm" c="red" role="alert">
                {step === 0 ? (rows.rows.length === 0 ? 'Paste at least one row.' : 'Correct the lines named above.') : 'Something above is missing.'}
              </Text>
            )}
            <Button onClick={() => go(step + 1)}>Next</Button>
          </Group>
        )}
      </Group>
    </Stack>
  );
}

interface StartProps {
  draft: Draft;
  rows: ParsedRows;
  folders: string[];
  onChange: (change: Partial<Draft>) => void;
  onStarted: (run: Run) => void;
}

function Start({ draft, rows, folders, onChange, onStarted }: StartProps) {
  const { template } = draft;
  // A dry run saves the job too; what follows it is another run of that job, as it then is.
  const [made, setMade] = useState<{ id: string; spec: string } | null>(null);
  const begin = useMutation({
    mutationFn: async (dryRun: boolean) => {
      const plain = draftToJob(draft, rows);
      const job = { ...plain, name: plain.name || nameOf(draft) };
      const ask = { dry_run: dryRun, ...(draft.reason.trim() && { reason: draft.reason.trim() }) };
      const spec = JSON.stringify(plain);
      if (made === null) {
        const run = await jobs.bulk({ job, ...ask });
        setMade({ id: run.job, spec });
        return run;
      }
      if (made.spec !== spec) {
        const saved = await jobs.get(made.id);
        await jobs.save(made.id, saved.version, draft.name.trim() ? job : { ...job, name: saved.name });
        setMade({ id: made.id, spec });
      }
      return jobs.start(made.id, ask);
    },
    onSuccess: (run) => {
      if (!run.dry_run) onStarted(run);
    },
  });
  const isDry = begin.variables === true;
  const sizes = waveSizes(draft.plan.waves, rows.rows.length);
  return (
    <Stack gap="md">
      <Paper withBorder p="md">
        <Text size="sm">
          <b>{rows.rows.length.toLocaleString()}</b> requests: <b>{template.method}</b>{' '}
          <span className="mantine-Code-root">{`${template.regions.join(',')}/${template.service}${template.path}`}</span>
          {draft.plan.ratePerSecond !== '' && `, at most ${draft.plan.ratePerSecond} a second`}
          {draft.plan.stopFailures !== '' && `, stopping at ${draft.plan.stopFailures} failures`}. In waves of:
        </Text>
        <WaveBar sizes={sizes} rows={rows.rows.length} />
      </Paper>
      <Group grow align="start">
        <TextInput label="Name" description="To find the run again" placeholder={template.path} value={draft.name} onChange={(event) => onChange({ name: event.currentTarget.value })} />
        <Autocomplete label="Folder" description="Decides who may see and control it" required data={folders} value={draft.folder} onChange={(folder) => onChange({ folder })} />
        <TextInput label="Reason" description="Goes into the audit log" value={draft.reason} onChange={(event) => onChange({ reason: event.currentTarget.value })} />
      </Group>
      {begin.isError && <ProblemAlert problem={asProblem(begin.error)} />}
      {begin.data?.dry_run && <DryRun id={begin.data.id} />}
      <Group>
        <Button variant="light" loading={begin.isPending && isDry} disabled={begin.isPending || draft.folder.trim() === ''} onClick={() => begin.mutate(true)} leftSection={<IconFlask size={16} aria-hidden />}>
          Dry run: send nothing
        </Button>
        <Button loading={begin.isPending && !isDry} disabled={begin.isPending || draft.folder.trim() === ''} onClick={() => begin.mutate(false)} leftSection={<IconRocket size={16} aria-hidden />}>
          Start
        </Button>
        <Text size="sm" c="dimmed">
          A dry run renders every request and asks policy about each.
        </Text>
      </Group>
    </Stack>
  );
}

/// What a run is called when nobody named it. Names are unique within a folder, so the time stands in it.
function nameOf({ template }: Draft): string {
  const now = new Date();
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${template.method} ${template.service}${template.path.slice(0, 80)}, ${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

/// What the dry run finds, while it looks.
function DryRun({ id }: { id: string }) {
  const { run } = useRun(id);
  const { data } = run;
  if (run.isError) return <ProblemAlert problem={asProblem(run.error)} onRetry={() => void run.refetch()} />;
  if (data === undefined) return <Loader size="sm" role="status" aria-label="Loading the dry run" />;
  const { done = 0, failed = 0, unknown = 0, pending = 0, sending = 0 } = data.counts;
  const bad = failed + unknown;
  const all = done + bad + pending + sending;
  const over = isOver(data.state);
  return (
    <Alert
      color={bad > 0 ? 'red' : over ? 'green' : 'blue'}
      title={over ? (bad > 0 ? `Dry run: ${bad.toLocaleString()} of ${all.toLocaleString()} would be refused` : `Dry run: all ${all.toLocaleString()} may be sent`) : 'Dry run: looking at every row'}
      role="status"
    >
      {!over && `${(done + bad).toLocaleString()} of ${all.toLocaleString()} so far. `}
      {data.errors?.map(({ error, count }) => `${(count ?? 0).toLocaleString()} × ${error}`).join(', ')}
      {(data.errors?.length ?? 0) > 0 && '. '}
      Nothing was sent.{' '}
      <Anchor component={Link} to={`/runs/${id}`} target="_blank" rel="noreferrer" inherit underline="always">
        See it row by row
      </Anchor>
    </Alert>
  );
}
