/// Whether the log is as it was signed, in plain words, above the log itself.
import { Alert, Anchor, Badge, Button, Code, Group, Popover, Stack, Table, Text } from '@mantine/core';
import { IconAlertOctagon, IconShieldCheck, IconShieldSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { type Schema, api, call } from '../client/api';
import { Time, formatTime } from '../components/Time';

type Chain = Schema<'ChainStatus'>;

/// The status, asked again now and then; each question lets the server go on verifying.
function useChain() {
  return useQuery({
    queryKey: ['audit', 'chain'],
    queryFn: () => call(api.GET('/api/v1/audit/chain')),
    refetchInterval: (query) => (query.state.data?.state === 'checking' ? 1_000 : 15_000),
  });
}

export function ChainStatus() {
  const chain = useChain().data;
  if (chain === undefined) return null;
  if (chain.state === 'broken') return <Broken chain={chain} />;
  return (
    <Popover width={440} position="bottom-end" shadow="md" withArrow>
      <Popover.Target>
        <Button
          variant="subtle"
          size="compact-sm"
          color="gray"
          c="var(--mantine-color-text)"
          leftSection={chain.state === 'whole' ? <IconShieldCheck size={16} color="var(--mantine-color-green-6)" aria-hidden /> : <IconShieldSearch size={16} color="var(--mantine-color-blue-6)" aria-hidden />}
        >
          {headline(chain)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Details chain={chain} />
      </Popover.Dropdown>
    </Popover>
  );
}

function headline(chain: Chain): string {
  if (chain.state === 'whole' && chain.verified_up_to) return `Verified up to ${formatTime(chain.verified_up_to)}`;
  const part = chain.entries > 0 ? Math.floor((100 * chain.verified_entries) / chain.entries) : 0;
  return `Verifying: ${part} % of ${chain.entries.toLocaleString()} entries`;
}

function Details({ chain }: { chain: Chain }) {
  return (
    <Stack gap="xs">
      <Text size="sm">
        {chain.state === 'whole'
          ? `All ${chain.verified_entries.toLocaleString()} entries are as they were signed when they were written.`
          : `${chain.verified_entries.toLocaleString()} of ${chain.entries.toLocaleString()} entries are as they were signed; the rest is being looked at.`}
        {chain.unsigned_entries > 0 && ` The last ${chain.unsigned_entries} are so new that their signature is on its way.`}
      </Text>
      <Text size="sm" c="dimmed">
        Entries are signed in batches, and each batch names the one before, so none can be changed, dropped or moved without
        breaking a signature. Checked <Time at={chain.checked_at} distance />, in the database. To hold it against the files
        outside the database too: <Code>doorman audit verify</Code>
      </Text>
      <Table.ScrollContainer minWidth={380}>
        <Table fz="xs" verticalSpacing={2}>
          <Table.Caption>
            {chain.writers === 1 ? 'The one process that has written' : `Those of ${chain.writers} processes that wrote last`}
          </Table.Caption>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Writer</Table.Th>
              <Table.Th>Last statement</Table.Th>
              <Table.Th>Made</Table.Th>
              <Table.Th>Signed</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {chain.latest.slice(0, 5).map((writer) => (
              <Table.Tr key={writer.id}>
                <Table.Td>
                  <Code title={writer.id}>{writer.id.slice(0, 12)}…</Code>
                </Table.Td>
                <Table.Td>{writer.statement}</Table.Td>
                <Table.Td>{writer.time ? <Time at={writer.time} /> : '–'}</Table.Td>
                <Table.Td>{writer.signed ? 'yes' : 'not yet'}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Stack>
  );
}

function Broken({ chain }: { chain: Chain }) {
  return (
    <Alert
      color="red"
      variant="filled"
      role="alert"
      icon={<IconAlertOctagon aria-hidden />}
      title="The audit log is not what was signed"
      w="100%"
    >
      <Stack gap={4}>
        {chain.faults.map((fault) => (
          <Group key={`${fault.writer}${fault.kind}`} gap="xs">
            <Badge color="dark">{fault.kind.replaceAll('_', ' ')}</Badge>
            <Text size="sm">{fault.detail}</Text>
            {fault.entry && (
              <Anchor component={Link} to={`/audit/${fault.entry}`} size="sm" c="inherit" underline="always">
                Look at the entry
              </Anchor>
            )}
          </Group>
        ))}
        <Text size="sm">
          Tell whoever is responsible for security now, change nothing, and run <Code>doorman audit verify</Code> against a copy.
        </Text>
      </Stack>
    </Alert>
  );
}
