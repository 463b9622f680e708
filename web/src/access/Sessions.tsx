/// Live sessions: one's own, or everybody's for administrators.
import { Badge, Button, Group, Stack, Table, Text, VisuallyHidden } from '@mantine/core';
import { IconDeviceLaptop } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Inert } from '../audit/Inert';
import { type Schema, api, call } from '../client/api';
import { Ask } from '../components/Ask';
import { EmptyState } from '../components/EmptyState';
import { Pages, usePages } from '../components/Pages';
import { Time } from '../components/Time';
import { useSession } from '../session/session';
import { OwnerPicker } from './OwnerPicker';

type Session = Schema<'Session'>;

const KINDS: Record<string, string> = {
  login: 'login',
  personal: 'personal token',
  exchange: 'exchanged token',
  basic: 'password with each call',
  service: 'service account',
};

export function Sessions() {
  const queries = useQueryClient();
  const { me, logOut } = useSession();
  const [owner, setOwner] = useState<string | undefined>();
  const [ending, setEnding] = useState<Session | 'all' | null>(null);
  const { query: list, items: sessions } = usePages(['sessions', owner], (cursor) => call(api.GET('/auth/v1/sessions', { params: { query: { principal: owner, cursor } } })));
  const refresh = () => queries.invalidateQueries({ queryKey: ['sessions'] });
  const whose = owner === undefined ? me.subject : owner;

  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="dimmed" maw={560}>
          Each login, and each credential that is in use. End one that you do not know: whatever it sent before is in the audit log.
        </Text>
        <Group gap="xs">
          <OwnerPicker owner={owner} onChange={setOwner} />
          {whose !== 'all' && (
            <Button size="xs" variant="light" color="red" onClick={() => setEnding('all')}>
              End all{owner === undefined ? ' of mine' : ` of ${owner}`}…
            </Button>
          )}
        </Group>
      </Group>
      <Pages
        query={list}
        isEmpty={sessions.length === 0}
        empty={
          <EmptyState icon={IconDeviceLaptop} title="No live session">
            Nobody by that name is logged in now.
          </EmptyState>
        }
      >
        <Table.ScrollContainer minWidth={760}>
          <Table fz="sm" verticalSpacing={6}>
            <Table.Thead>
              <Table.Tr>
                {owner !== undefined && <Table.Th>Whose</Table.Th>}
                <Table.Th>Kind</Table.Th>
                <Table.Th>Since</Table.Th>
                <Table.Th>Last used</Table.Th>
                <Table.Th>Ends</Table.Th>
                <Table.Th>From</Table.Th>
                <Table.Th>
                  <VisuallyHidden>Actions</VisuallyHidden>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {sessions.map((session) => (
                <Table.Tr key={session.id}>
                  {owner !== undefined && <Table.Td>{session.principal}</Table.Td>}
                  <Table.Td>
                    {KINDS[session.kind] ?? session.kind}{' '}
                    {session.current && (
                      <Badge size="sm" variant="light" color="green">
                        this one
                      </Badge>
                    )}
                  </Table.Td>
                  <Table.Td>
                    <Time at={session.created_at} />
                  </Table.Td>
                  <Table.Td>{session.last_used_at ? <Time at={session.last_used_at} distance /> : 'not yet'}</Table.Td>
                  <Table.Td>
                    <Time at={session.expires_at} distance />
                  </Table.Td>
                  <Table.Td maw={260} style={{ overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' }} title={session.user_agent ?? undefined}>
                    {session.client_ip}
                    {session.user_agent && (
                      <Text size="xs" c="dimmed" truncate>
                        <Inert>{session.user_agent}</Inert>
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td ta="right">
                    <Button
                      size="compact-xs"
                      variant="default"
                      onClick={() => setEnding(session)}
                      aria-label={`End the ${KINDS[session.kind] ?? session.kind} of ${session.principal} from ${session.client_ip ?? 'somewhere'}`}
                    >
                      End…
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Pages>
      {ending !== null && ending !== 'all' && (
        <Ask
          title="End this session?"
          verb="End it"
          text={
            ending.current
              ? 'This is the session of this very page: you will have to log in again.'
              : 'Whoever uses it is logged out at once, open streams and runs included.'
          }
          run={async () => {
            await call(api.DELETE('/auth/v1/sessions/{id}', { params: { path: { id: ending.id } } }));
            if (ending.current) await logOut().catch(() => location.reload());
            else await refresh();
          }}
          onClose={() => setEnding(null)}
        />
      )}
      {ending === 'all' && (
        <Ask
          title={`End everything of ${whose}?`}
          verb="End all of it"
          text={`Every session and every personal token of ${whose} ends at once${owner === undefined ? ', this page’s included' : ''}. Use it when a password or a laptop is lost.`}
          run={async () => {
            await call(api.DELETE('/auth/v1/sessions', { params: { query: { principal: owner } } }));
            if (owner === undefined) location.reload();
            else await refresh();
          }}
          onClose={() => setEnding(null)}
        />
      )}
    </Stack>
  );
}
