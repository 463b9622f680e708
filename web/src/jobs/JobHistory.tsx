/// Who changed a job, when, and in which parts.
import { Button, Code, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Body } from '../audit/EntryDetails';
import '../audit/audit.css';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { Time } from '../components/Time';
import { type Job, type JobSpec, jobs } from './wire';

/// What was done to a job, for people.
const ACTIONS: Record<string, string> = { create: 'created', input: 'rows uploaded' };

export function JobHistory({ job }: { job: Job }) {
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
