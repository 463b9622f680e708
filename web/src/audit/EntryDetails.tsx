/// One entry in full: who, what, why, how it ended; request and response; what it is linked to.
import { Alert, Anchor, Badge, Button, Code, CopyButton, Group, Stack, Table, Text, Title } from '@mantine/core';
import { IconCheck, IconCopy, IconPencil, IconRefresh } from '@tabler/icons-react';
import { type ReactNode, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { explainLink } from '../access/rights';
import { Time, formatSpan } from '../components/Time';
import { openLogged } from '../request/History';
import { Inert } from './Inert';
import { RetryModal } from './RetryModal';
import { type Entry, canRetry, outcomeOf, placeOf, shortName, showBody, titleOf } from './entry';
import { formatBytes } from '../components/bytes';

export function EntryDetails({ entry, onRetried }: { entry: Entry; onRetried?: () => void }) {
  const [retrying, setRetrying] = useState(false);
  const navigate = useNavigate();
  const outcome = outcomeOf(entry);
  const policies = entry.policies ?? [];
  return (
    <Stack gap="md">
      <Text ff="monospace" size="sm" style={{ overflowWrap: 'anywhere' }}>
        <Inert>{titleOf(entry)}</Inert>
      </Text>
      <Group gap="xs">
        <Badge color={outcome.color} variant="light" size="lg" title={outcome.hint}>
          {outcome.label}
        </Badge>
        <Text size="sm" c="dimmed">
          {outcome.hint}
        </Text>
      </Group>
      <Group gap="xs">
        {canRetry(entry) && (
          <Button size="xs" leftSection={<IconRefresh size={14} aria-hidden />} onClick={() => setRetrying(true)} data-autofocus>
            Retry…
          </Button>
        )}
        {canRetry(entry) && (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconPencil size={14} aria-hidden />}
            onClick={() => {
              openLogged(entry);
              void navigate('/request');
            }}
          >
            Change and send
          </Button>
        )}
        {entry.decision === 'deny' && canRetry(entry) && (
          <Button
            component={Link}
            size="xs"
            variant="default"
            to={explainLink({ region: entry.region ?? '', service: entry.service ?? '', method: entry.method ?? 'GET', path: entry.path ?? '/' })}
          >
            Why?
          </Button>
        )}
        <Copy value={entry.id} label="Copy id" />
        <Copy value={JSON.stringify(entry, null, 2)} label="Copy as JSON" />
      </Group>
      <Section title="Who and why">
        <Facts>
          <Fact name="When">
            <Time at={entry.time} /> <Text span size="xs" c="dimmed">{entry.time}</Text>
          </Fact>
          <Fact name="Who">{entry.subject && <Inert>{entry.subject}</Inert>}</Fact>
          {entry.actor !== entry.subject && <Fact name="Sent by">{entry.actor && <Inert>{`${entry.actor}, on ${shortName(entry.subject)}'s behalf`}</Inert>}</Fact>}
          <Fact name="Reason">{entry.reason ? <Inert>{entry.reason}</Inert> : <Dim>none given</Dim>}</Fact>
          <Fact name="Decision">
            {entry.decision && (
              <>
                {entry.decision === 'permit' ? 'permitted' : 'denied'}
                {policies.length > 0 ? ' by ' : entry.decision === 'deny' ? ': no policy permits it' : ''}
                {policies.map((policy) => (
                  <Code key={policy} mr={4}>
                    {policy}
                  </Code>
                ))}
              </>
            )}
          </Fact>
          <Fact name="From">{entry.client_ip && <Inert>{[entry.client_ip, entry.user_agent].filter(Boolean).join(' · ')}</Inert>}</Fact>
          <Fact name="Channel">{entry.channel}</Fact>
          <Fact name="Session">{entry.session && <Code>{entry.session}</Code>}</Fact>
          {Object.entries(entry.detail ?? {}).map(([name, value]) => (
            <Fact key={name} name={name.replaceAll('_', ' ')}>
              <Inert>{value}</Inert>
            </Fact>
          ))}
        </Facts>
      </Section>
      {entry.method && <RequestPart entry={entry} />}
      {entry.outcome && entry.method && <ResponsePart entry={entry} />}
      <Links entry={entry} />
      {canRetry(entry) && (
        <RetryModal entry={entry} opened={retrying} onClose={() => setRetrying(false)} onRetried={onRetried} />
      )}
    </Stack>
  );
}

function RequestPart({ entry }: { entry: Entry }) {
  const body = entry.body == null ? null : showBody(entry.body, entry.body_encoding);
  return (
    <Section title="Request">
      <Facts>
        <Fact name="To">
          <Inert>{placeOf(entry)}</Inert>
        </Fact>
        <Fact name="Body size">{entry.body_size != null && `${formatBytes(entry.body_size)}`}</Fact>
        <Fact name="SHA-256">{entry.body_sha256 && <Code>{entry.body_sha256}</Code>}</Fact>
        <Fact name="Masked">{entry.redacted?.length ? <Inert>{entry.redacted.join(', ')}</Inert> : null}</Fact>
      </Facts>
      <Headers headers={entry.headers} caption="Request headers" />
      {body && body.text !== '' && (
        <Body text={body.text} label="Request body" note={entry.body_truncated ? 'Only the beginning was kept.' : body.note} />
      )}
    </Section>
  );
}

function ResponsePart({ entry }: { entry: Entry }) {
  const { outcome } = entry;
  if (!outcome) return null;
  return (
    <Section title="Response">
      <Facts>
        <Fact name="Status">{outcome.status}</Fact>
        <Fact name="Error">{outcome.error && <Code>{outcome.error}</Code>}</Fact>
        <Fact name="Took">{outcome.duration_ms != null && formatSpan(outcome.duration_ms)}</Fact>
        <Fact name="Instance">{outcome.instance && <Inert>{outcome.instance}</Inert>}</Fact>
        <Fact name="Body size">{outcome.body_size != null && formatBytes(outcome.body_size)}</Fact>
        <Fact name="SHA-256">{outcome.body_sha256 && <Code>{outcome.body_sha256}</Code>}</Fact>
      </Facts>
      <Headers headers={outcome.headers ?? {}} caption="Response headers" />
      <Text size="xs" c="dimmed">
        Of responses the log keeps size and SHA-256, not the body.
      </Text>
    </Section>
  );
}

function Links({ entry }: { entry: Entry }) {
  const retries = entry.retries ?? [];
  if (!entry.retry_of && retries.length === 0 && !entry.run) return null;
  return (
    <Section title="Linked">
      <Facts>
        <Fact name="Repeats">{entry.retry_of && <EntryLink id={entry.retry_of} />}</Fact>
        <Fact name="Repeated by">
          {retries.map((id) => (
            <EntryLink key={id} id={id} />
          ))}
        </Fact>
        <Fact name="Run">
          {entry.run && (
            <Anchor component={Link} to={`/runs/${entry.run}`} size="sm">
              {entry.run}
              {entry.item != null && `, item ${entry.item}`}
            </Anchor>
          )}
        </Fact>
      </Facts>
    </Section>
  );
}

function EntryLink({ id }: { id: string }) {
  return (
    <Anchor component={Link} to={`/audit/${id}`} size="sm" ff="monospace" display="block">
      {id}
    </Anchor>
  );
}

export function Headers({ headers, caption }: { headers: Entry['headers']; caption: string }) {
  const lines = Object.entries(headers ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one, index) => ({ key: `${name}${index}`, name, value: one })),
  );
  if (lines.length === 0) return null;
  return (
    <Table fz="xs" verticalSpacing={2} captionSide="top" layout="fixed">
      <Table.Caption ta="left">{caption}</Table.Caption>
      <Table.Tbody>
        {lines.map(({ key, name, value }) => (
          <Table.Tr key={key}>
            <Table.Th scope="row" w="38%" fw={500} style={{ overflowWrap: 'anywhere' }}>
              <Inert>{name}</Inert>
            </Table.Th>
            <Table.Td ff="monospace" style={{ overflowWrap: 'anywhere' }}>
              <Inert>{value}</Inert>
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/// A body as text. Long ones are cut for the page; the log has all that was kept.
export function Body({ text, label, note }: { text: string; label: string; note?: string | null }) {
  const cut = text.length > 50_000;
  return (
    <div>
      <Group justify="space-between" mb={4}>
        <Text size="xs" c="dimmed">
          {label}
          {note && ` · ${note}`}
          {cut && ' · the first 50,000 characters'}
        </Text>
        <Copy value={text} label={`Copy ${label.toLowerCase()}`} />
      </Group>
      <pre className="audit-body" tabIndex={0} aria-label={label}>
        <Inert>{cut ? text.slice(0, 50_000) : text}</Inert>
      </pre>
    </div>
  );
}

function Copy({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <Button
          size="compact-xs"
          variant="default"
          onClick={copy}
          leftSection={copied ? <IconCheck size={12} aria-hidden /> : <IconCopy size={12} aria-hidden />}
        >
          {copied ? 'Copied' : label}
        </Button>
      )}
    </CopyButton>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Stack gap="xs" component="section">
      <Title order={3} size="h5">
        {title}
      </Title>
      {children}
    </Stack>
  );
}

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}

/// A name with its value; nothing where there is no value.
export function Fact({ name, children }: { name: string; children: ReactNode }) {
  if (children === null || children === undefined || children === false || children === '') return null;
  if (Array.isArray(children) && children.length === 0) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Dim({ children }: { children: ReactNode }) {
  return (
    <Text span size="sm" c="dimmed">
      {children}
    </Text>
  );
}

/// For entries that could not be had.
export function NoEntry({ children }: { children: ReactNode }) {
  return <Alert color="gray">{children}</Alert>;
}
