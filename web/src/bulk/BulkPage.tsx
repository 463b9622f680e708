/// One request for many rows, step by step: rows, request, plan, look, start.
import { Alert, Autocomplete, Button, Group, Paper, Stack, Stepper, Text, TextInput, Title } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { IconFlask, IconRocket } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useDeferredValue, useMemo, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { useCommands } from '../app/commands';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { type Run, jobs } from '../jobs/wire';
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
  const [draft, setDraft, clear] = useSessionStorage<Draft>({ key: 'doorman.bulk', defaultValue: emptyDraft(folders[0] ?? ''), getInitialValueInEffect: false });
  const [step, setStep] = useState(0);
  const [tried, setTried] = useState(false);
  const change = (change: Partial<Draft>) => setDraft((draft) => ({ ...draft, ...change }));
  const source = useDeferredValue(draft);
  const rows = useMemo(() => rowsOf(source), [source.text, source.header, source.renamed, source.keepDuplicates]);
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
          <PlanForm plan={draft.plan} rows={rows.rows.length} errors={planErrors(draft.plan, rows.rows.length)} onChange={(plan) => setDraft((draft) => ({ ...draft, plan: { ...draft.plan, ...plan } }))} />
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
  const begin = useMutation({
    mutationFn: (dryRun: boolean) =>
      jobs.bulk({ job: draftToJob(draft, rows), dry_run: dryRun, ...(draft.reason.trim() && { reason: draft.reason.trim() }) }),
  });
  const dry = useMutation({ mutationFn: () => begin.mutateAsync(true) });
  const sizes = waveSizes(draft.plan.waves, rows.rows.length);
  return (
    <Stack gap="md">
      <Paper withBorder p="md">
        <Text size="sm">
          <b>{rows.rows.length.toLocaleString()}</b> requests: <b>{template.method}</b>{' '}
          <span className="mantine-Code-root">{`${template.region}/${template.service}${template.path}`}</span>
          {draft.plan.ratePerSecond !== '' && `, at most ${draft.plan.ratePerSecond} a second`}
          {draft.plan.stopFailures !== '' && `, stopping at ${draft.plan.stopFailures} failures`}. In waves of:
        </Text>
        <WaveBar sizes={sizes} rows={rows.rows.length} />
      </Paper>
      <Group grow align="start">
        <TextInput label="Name" description="To find the run again" placeholder="made up if empty" value={draft.name} onChange={(event) => onChange({ name: event.currentTarget.value })} />
        <Autocomplete label="Folder" description="Decides who may see and control it" required data={folders} value={draft.folder} onChange={(folder) => onChange({ folder })} />
        <TextInput label="Reason" description="Goes into the audit log" value={draft.reason} onChange={(event) => onChange({ reason: event.currentTarget.value })} />
      </Group>
      {(begin.isError || dry.isError) && <ProblemAlert problem={asProblem(begin.error ?? dry.error)} />}
      {dry.data && <DryRun run={dry.data} />}
      <Group>
        <Button variant="light" loading={dry.isPending} onClick={() => dry.mutate()} leftSection={<IconFlask size={16} aria-hidden />}>
          Dry run: send nothing
        </Button>
        <Button loading={begin.isPending && !dry.isPending} disabled={draft.folder.trim() === ''} onClick={() => begin.mutate(false, { onSuccess: onStarted })} leftSection={<IconRocket size={16} aria-hidden />}>
          Start
        </Button>
        <Text size="sm" c="dimmed">
          A dry run renders every request and asks policy about each.
        </Text>
      </Group>
    </Stack>
  );
}

function DryRun({ run }: { run: Run }) {
  return (
    <Alert color="blue" title="The dry run has begun" role="status">
      It looks at every row and sends nothing.{' '}
      <Link to={`/runs/${run.id}`} target="_blank" rel="noreferrer">
        See what it finds
      </Link>
      , then start here.
    </Alert>
  );
}
