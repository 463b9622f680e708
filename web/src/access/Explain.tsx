/// Asking policy about a request: may I, and if not, why not?
import { Alert, Badge, Button, Code, Group, Paper, Select, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import { type Schema, api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { HealthOption, healthOf, useRegions } from '../components/Catalog';
import { ProblemAlert } from '../components/ProblemAlert';
import { useSession } from '../session/session';
import { verdictOf } from './rights';

type Explained = Schema<'Explained'>;
interface Question {
  subject: string;
  region: string;
  service: string;
  method: string;
  path: string;
  reason: string;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export function Explain() {
  const { me, may } = useSession();
  const others = may('policy:read', 'policies');
  // A link may bring the question along.
  const [params] = useSearchParams();
  const [question, setQuestion] = useState<Question>({
    subject: '',
    region: params.get('region') ?? '',
    service: params.get('service') ?? '',
    method: params.get('method') ?? 'GET',
    path: params.get('path') ?? '/',
    reason: '',
  });
  const isLinked = params.has('region') && params.has('service');
  const section = useRef<HTMLDivElement>(null);
  const set = (change: Partial<Question>) => setQuestion((question) => ({ ...question, ...change }));
  const regions = useRegions();
  const ask = useMutation({
    mutationFn: ({ subject, reason, ...rest }: Question) =>
      call(
        api.GET('/api/v1/policy/explain', {
          params: { query: { ...rest, ...(subject && { subject }), ...(reason && { reason }) } },
        }),
      ),
  });
  const names = healthOf.regions(regions.data);
  const { mutate } = ask;
  useEffect(() => {
    // Once, as the link was followed.
    if (isLinked) mutate(question);
  }, [mutate]);
  const isAnswered = ask.isSuccess || ask.isError;
  useEffect(() => {
    // Whoever followed a link came for the answer, which is below everything else.
    if (isLinked && isAnswered) section.current?.scrollIntoView({ block: 'end' });
  }, [isAnswered]);

  function submit(event: FormEvent) {
    event.preventDefault();
    ask.mutate(question);
  }

  return (
    <Paper ref={section} withBorder p="md" component="section" aria-labelledby="explain">
      <Title order={2} size="h5" id="explain">
        May I?
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        Describe a request. Nothing is sent; policy says what it would say, and why.
      </Text>
      <form onSubmit={submit}>
        <Group align="end" gap="xs" wrap="wrap">
          {others && (
            <TextInput
              label="Who"
              placeholder={me.subject}
              w={150}
              value={question.subject}
              onChange={(event) => set({ subject: event.currentTarget.value })}
            />
          )}
          {names.length > 0 ? (
            <Select label="Region" data={names} renderOption={HealthOption} comboboxProps={{ width: 200, position: 'bottom-start' }} required w={110} value={question.region || null} onChange={(region) => set({ region: region ?? '' })} />
          ) : (
            <TextInput label="Region" required w={110} value={question.region} onChange={(event) => set({ region: event.currentTarget.value })} />
          )}
          <TextInput label="Service" placeholder="companies" required w={150} value={question.service} onChange={(event) => set({ service: event.currentTarget.value })} />
          <Select label="Method" data={METHODS} allowDeselect={false} w={110} value={question.method} onChange={(method) => set({ method: method ?? 'GET' })} />
          <TextInput label="Path" flex="1 1 12rem" value={question.path} onChange={(event) => set({ path: event.currentTarget.value })} />
          <TextInput label="Reason" placeholder="none" w={150} value={question.reason} onChange={(event) => set({ reason: event.currentTarget.value })} />
          <Button type="submit" loading={ask.isPending}>
            Ask policy
          </Button>
        </Group>
      </form>
      <div aria-live="polite">
        {ask.isError && (
          <Stack mt="md">
            <ProblemAlert problem={asProblem(ask.error)} />
          </Stack>
        )}
        {ask.data && ask.variables && <Answer answer={ask.data} question={ask.variables} />}
      </div>
    </Paper>
  );
}

function Answer({ answer, question }: { answer: Explained; question: Question }) {
  const who = question.subject ? question.subject : 'You';
  const line = `${question.method} ${question.region}/${question.service}${question.path}`;
  return (
    <Stack gap="sm" mt="md">
      <Alert
        color={answer.permit ? 'green' : 'orange'}
        icon={answer.permit ? <IconCircleCheck aria-hidden /> : <IconCircleX aria-hidden />}
        title={`${who} may ${answer.permit ? '' : 'not '}send ${line}`}
        styles={{ title: { overflowWrap: 'anywhere', whiteSpace: 'normal' } }}
      >
        <Text size="sm">{whyOf(answer)}</Text>
        {answer.policies.length > 0 && (
          <Group gap={4} mt={4}>
            {answer.policies.map((policy) => (
              <Code key={policy}>{policy}</Code>
            ))}
          </Group>
        )}
      </Alert>
      {answer.candidates.length > 0 && (
        <Table.ScrollContainer minWidth={520}>
          <Table fz="sm" verticalSpacing={4}>
            <Table.Caption>Policies that could have a say here{answer.groups.length > 0 && `, with the groups ${answer.groups.join(', ')}`}</Table.Caption>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Policy</Table.Th>
                <Table.Th>Says</Table.Th>
                <Table.Th>Here</Table.Th>
                <Table.Th>What that means</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {answer.candidates.map((policy) => {
                const verdict = verdictOf(policy.verdict);
                return (
                  <Table.Tr key={policy.name}>
                    <Table.Td>
                      <Code>{policy.name}</Code>
                      {policy.file && (
                        <Text size="xs" c="dimmed">
                          {policy.file}:{policy.line}
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td>{policy.effect}</Table.Td>
                    <Table.Td>
                      <Badge variant="light" color={verdict.color}>
                        {verdict.label}
                      </Badge>
                    </Table.Td>
                    <Table.Td>{verdict.text}</Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Stack>
  );
}

function whyOf(answer: Explained): string {
  if (answer.error) return `Policy could not be asked: ${answer.error}`;
  if (answer.permit) return 'Permitted by';
  if (answer.would_permit_with === 'reason') return 'With a reason it would be permitted: give one, and it goes into the audit log.';
  if (answer.would_permit_with === 'approval') return 'Once somebody has approved it, it would be permitted.';
  return answer.policies.length > 0 ? 'Forbidden by' : 'No policy permits it, and what is not permitted is denied.';
}
