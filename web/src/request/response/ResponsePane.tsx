/// What came back: status, time, size, and views of body, headers and timing.
import { Anchor, Badge, Box, Button, Card, Code, Group, Loader, ScrollArea, SimpleGrid, Stack, Table, Tabs, Text } from '@mantine/core';
import { IconSend } from '@tabler/icons-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'react-router';
import { explainLink } from '../../access/rights';
import { EmptyState } from '../../components/EmptyState';
import { ProblemAlert } from '../../components/ProblemAlert';
import { type Answer, type Exchange, cancel, useExchange } from '../exchange';
import { BodyView } from './BodyView';
import { type InstanceAnswer, findOdd, readAnswers } from './compare';
import { colorOf, formatMs } from './format';
import { formatBytes } from '../../components/bytes';
import { TimingView } from './Timing';

export function ResponsePane({ tab, name }: { tab: string; name: string }) {
  const exchange = useExchange(tab);
  if (exchange === undefined) {
    return (
      <EmptyState icon={IconSend} title="Nothing sent yet">
        Choose a region and a service, then press Send or Ctrl+Enter. Whatever you send is written to the audit log first;
        the answer shows here. In the demo try service <b>echo</b> with path <Code>/hello</Code>.
      </EmptyState>
    );
  }
  const { answer, problem, state } = exchange;
  const waiting = state === 'sending' || (state === 'receiving' && answer?.events === null);
  return (
    <Stack gap={0} h="100%" className="response">
      <Summary exchange={exchange} onCancel={() => cancel(tab)} />
      {state === 'cancelled' && (
        <Text size="sm" c="dimmed" p="md">
          Cancelled by you. The request may have reached the service; the audit log tells.
        </Text>
      )}
      {problem !== null && (
        <Box p="md">
          <ProblemAlert problem={problem} />
        </Box>
      )}
      {answer?.problem && (
        <Box p="md">
          <ProblemAlert problem={answer.problem}>
            {answer.problem.code === 'forbidden' && (
              <Anchor component={Link} to={explainLink(partsOf(exchange))} size="xs">
                Why? Ask policy
              </Anchor>
            )}
          </ProblemAlert>
        </Box>
      )}
      {answer !== null && answer.problem === null && (answer.events !== null || !waiting) && state !== 'failed' && (
        <Views exchange={exchange} answer={answer} name={name} />
      )}
    </Stack>
  );
}

/// Where an exchange went, from its address.
function partsOf({ method, url }: Exchange) {
  const [, region = '', service = '', path = '/'] = /^\/r\/([^/]+)\/([^/@]+)(?:@[^/]*)?(\/[^?]*)/.exec(url) ?? [];
  return { method, region: decodeURIComponent(region), service: decodeURIComponent(service), path };
}

function Summary({ exchange, onCancel }: { exchange: Exchange; onCancel: () => void }) {
  const { answer, state, totalMs } = exchange;
  const running = state === 'sending' || state === 'receiving';
  return (
    <Group px="sm" py={6} gap="md" className="summary" role="status" aria-live="polite">
      {answer !== null && (
        <Badge color={colorOf(answer.status)} variant="filled" autoContrast={false} size="lg" radius="sm">
          {answer.status} {answer.statusText}
        </Badge>
      )}
      {running && (
        <Group gap="xs">
          <Loader size="xs" aria-hidden />
          <Text size="sm">{answer === null ? 'Sent, waiting for the answer…' : answer.events ? 'Events are coming…' : 'The answer is coming…'}</Text>
          <Button size="compact-xs" variant="default" onClick={onCancel}>
            Cancel
          </Button>
        </Group>
      )}
      {totalMs !== null && <Text size="sm">{formatMs(totalMs)}</Text>}
      {answer !== null && <Text size="sm">{formatBytes(answer.size)}</Text>}
      {answer?.instance && (
        <Text size="sm" c="dimmed">
          from <Code>{answer.instance}</Code>
        </Text>
      )}
      {answer?.auditId && (
        <Anchor component={Link} to={`/audit/${answer.auditId}`} size="sm">
          Audit entry
        </Anchor>
      )}
    </Group>
  );
}

function Views({ exchange, answer, name }: { exchange: Exchange; answer: Answer; name: string }) {
  const [instances, setInstances] = useState<InstanceAnswer[] | null>(null);
  useEffect(() => {
    setInstances(null);
    if (exchange.all && exchange.state === 'done') {
      void answer.body.text().then((text) => setInstances(readAnswers(text)));
    }
  }, [exchange.all, exchange.state, answer.body]);
  const first = answer.events !== null ? 'events' : instances !== null ? 'instances' : 'body';
  const [chosen, setChosen] = useState<string | null>(null);
  const names = [...(answer.events !== null ? ['events'] : []), ...(instances !== null ? ['instances'] : []), 'body', 'headers', 'timing'];
  const view = chosen !== null && names.includes(chosen) ? chosen : first;
  return (
    <Tabs value={view} onChange={setChosen} className="views" keepMounted={false}>
      <Tabs.List>
        {answer.events !== null && <Tabs.Tab value="events">Events ({answer.events.length})</Tabs.Tab>}
        {instances !== null && <Tabs.Tab value="instances">Instances ({instances.length})</Tabs.Tab>}
        {answer.events === null && <Tabs.Tab value="body">Body</Tabs.Tab>}
        <Tabs.Tab value="headers">Headers ({answer.headers.length})</Tabs.Tab>
        <Tabs.Tab value="timing">Timing</Tabs.Tab>
      </Tabs.List>
      {answer.events !== null && (
        <Tabs.Panel value="events">
          <EventsView answer={answer} />
        </Tabs.Panel>
      )}
      {instances !== null && (
        <Tabs.Panel value="instances">
          <InstancesView answers={instances} />
        </Tabs.Panel>
      )}
      {answer.events === null && (
        <Tabs.Panel value="body">
          <BodyView answer={answer} name={name} />
        </Tabs.Panel>
      )}
      <Tabs.Panel value="headers">
        <HeadersView answer={answer} />
      </Tabs.Panel>
      <Tabs.Panel value="timing">
        <TimingView exchange={exchange} answer={answer} />
      </Tabs.Panel>
    </Tabs>
  );
}

function HeadersView({ answer }: { answer: Answer }) {
  return (
    <ScrollArea h="100%" viewportProps={{ tabIndex: 0, 'aria-label': 'Response headers', role: 'region' } as object}>
      <Table withRowBorders={false} verticalSpacing={3} className="mono-table" aria-label="Headers of the answer">
        <Table.Tbody>
          {answer.headers.map(([name, value], index) => (
            <Table.Tr key={index}>
              <Table.Th scope="row" w={280}>
                {name}
              </Table.Th>
              <Table.Td>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  );
}

function EventsView({ answer }: { answer: Answer }) {
  const end = useRef<HTMLDivElement>(null);
  const count = answer.events?.length ?? 0;
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [count]);
  return (
    <ScrollArea h="100%" viewportProps={{ tabIndex: 0, 'aria-label': 'Events', role: 'region' } as object}>
      <Table verticalSpacing={3} className="mono-table" aria-label="Events">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={110}>Time</Table.Th>
            <Table.Th w={140}>Event</Table.Th>
            <Table.Th>Data</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {answer.events?.map((event, index) => (
            <Table.Tr key={index}>
              <Table.Td>{new Date(event.at).toLocaleTimeString(undefined, { hour12: false })}</Table.Td>
              <Table.Td>{event.event}</Table.Td>
              <Table.Td>{event.data}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <div ref={end} />
    </ScrollArea>
  );
}

function InstancesView({ answers }: { answers: InstanceAnswer[] }) {
  const odd = useMemo(() => findOdd(answers), [answers]);
  const strange = answers.filter(({ instance }) => (odd.get(instance)?.length ?? 0) > 0);
  return (
    <ScrollArea h="100%" viewportProps={{ tabIndex: 0, 'aria-label': 'Instances side by side', role: 'region' } as object}>
      <Stack p="sm" gap="sm">
        <Text size="sm">
          {strange.length === 0
            ? `No instance stands out among ${answers.length}. What differs everywhere, such as ids and times, is not counted.`
            : `${strange.map(({ instance }) => instance).join(', ')} ${strange.length === 1 ? 'answers' : 'answer'} differently from the others.`}
        </Text>
        <SimpleGrid cols={{ base: 1, sm: 2, lg: Math.min(answers.length, 3) }} spacing="sm">
          {answers.map((answer) => {
            const differences = odd.get(answer.instance) ?? [];
            return (
              <Card key={answer.instance} withBorder padding="sm" className={differences.length > 0 ? 'odd' : undefined}>
                <Group justify="space-between" gap="xs">
                  <Text fw={600}>{answer.instance}</Text>
                  <Group gap="xs">
                    {differences.length > 0 && (
                      <Badge color="#a84300" variant="filled" autoContrast={false}>
                        odd one out
                      </Badge>
                    )}
                    <Badge color={colorOf(answer.status)} variant="filled" autoContrast={false} radius="sm">
                      {answer.status}
                    </Badge>
                    <Text size="xs">{formatMs(answer.duration_ms)}</Text>
                  </Group>
                </Group>
                {differences.slice(0, 20).map(({ field, value, usual }) => (
                  <Text size="xs" key={field} className="difference">
                    <Code>{field}</Code> is {value}, elsewhere {usual}
                  </Text>
                ))}
                <pre className="instance-body" tabIndex={0} aria-label={`Body of ${answer.instance}`}>
                  {(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body, null, 2)).slice(0, 20_000)}
                </pre>
                {answer.audit_id !== null && (
                  <Anchor component={Link} to={`/audit/${answer.audit_id}`} size="xs">
                    Audit entry
                  </Anchor>
                )}
              </Card>
            );
          })}
        </SimpleGrid>
      </Stack>
    </ScrollArea>
  );
}
