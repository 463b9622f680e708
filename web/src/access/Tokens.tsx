/// Personal tokens for scripts: listed, issued (shown once), revoked.
import { Badge, Button, Code, Group, Modal, MultiSelect, Select, Stack, Table, TagsInput, Text, TextInput, VisuallyHidden } from '@mantine/core';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { type Schema, api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { Ask } from '../components/Ask';
import { EmptyState } from '../components/EmptyState';
import { Pages, usePages } from '../components/Pages';
import { useRegions } from '../components/Catalog';
import { ProblemAlert } from '../components/ProblemAlert';
import { Time } from '../components/Time';
import { useSession } from '../session/session';
import { OwnerPicker } from './OwnerPicker';
import { Secret } from './Secret';

type Token = Schema<'PersonalToken'>;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const SPANS = [
  { value: '1', label: '1 day' },
  { value: '7', label: '7 days' },
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'a year' },
];
const DAY_MS = 86_400_000;

export function Tokens() {
  const queries = useQueryClient();
  const { may } = useSession();
  const [owner, setOwner] = useState<string | undefined>();
  const [issuing, setIssuing] = useState(false);
  const [made, setMade] = useState<{ name: string; token: string } | null>(null);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const { query: list, items: tokens } = usePages(['tokens', owner], (cursor) => call(api.GET('/auth/v1/tokens', { params: { query: { principal: owner, cursor } } })));
  const refresh = () => queries.invalidateQueries({ queryKey: ['tokens'] });
  const mayIssue = may('token:issue', 'tokens');
  const create = (
    <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => setIssuing(true)} disabled={!mayIssue}>
      New token
    </Button>
  );

  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="dimmed" maw={560}>
          For scripts that act as you, with your rights or fewer, until a day that you choose. A token cannot manage credentials.
        </Text>
        <Group gap="xs">
          <OwnerPicker owner={owner} onChange={setOwner} />
          {create}
        </Group>
      </Group>
      <Pages
        query={list}
        isEmpty={tokens.length === 0}
        empty={
          <EmptyState icon={IconKey} title="No tokens">
            A script needs a credential that is not your password. Make a token for it, limited to what it needs, and pass it as{' '}
            <Code>Authorization: Bearer …</Code>
          </EmptyState>
        }
      >
        <Table.ScrollContainer minWidth={680}>
          <Table fz="sm" verticalSpacing={6}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>Limited to</Table.Th>
                <Table.Th>Made</Table.Th>
                <Table.Th>Last used</Table.Th>
                <Table.Th>Ends</Table.Th>
                <Table.Th>
                  <VisuallyHidden>Actions</VisuallyHidden>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {tokens.map((token) => (
                <Table.Tr key={token.id}>
                  <Table.Td fw={500}>{token.name}</Table.Td>
                  <Table.Td>
                    <Limits scopes={token.scopes} />
                  </Table.Td>
                  <Table.Td>
                    <Time at={token.created_at} />
                  </Table.Td>
                  <Table.Td>{token.last_used_at ? <Time at={token.last_used_at} distance /> : 'not yet'}</Table.Td>
                  <Table.Td>
                    <Time at={token.expires_at} distance />
                  </Table.Td>
                  <Table.Td ta="right">
                    <Button size="compact-xs" variant="default" onClick={() => setRevoking(token)} aria-label={`Revoke ${token.name}`}>
                      Revoke…
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Pages>
      {issuing && (
        <IssueToken
          onClose={() => setIssuing(false)}
          onMade={(made) => {
            setIssuing(false);
            setMade(made);
            void refresh();
          }}
        />
      )}
      {made !== null && (
        <Secret title={`Token “${made.name}”`} secret={made.token} onClose={() => setMade(null)}>
          Use it as <Code>Authorization: Bearer $DOORMAN_TOKEN</Code>, for example:
          <Code block mt="xs">{`curl -H "Authorization: Bearer $DOORMAN_TOKEN" ${location.origin}/r/eu/echo/hello`}</Code>
        </Secret>
      )}
      {revoking !== null && (
        <Ask
          title={`Revoke “${revoking.name}”?`}
          verb="Revoke it"
          text="What uses it is refused at once. This cannot be taken back."
          run={async () => {
            await call(api.DELETE('/auth/v1/tokens/{id}', { params: { path: { id: revoking.id } } }));
            await refresh();
          }}
          onClose={() => setRevoking(null)}
        />
      )}
    </Stack>
  );
}

function Limits({ scopes }: { scopes: Token['scopes'] }) {
  const parts = [scopes.regions, scopes.services, scopes.methods].filter((list) => list != null);
  if (parts.length === 0) return <>nothing: all that you may do</>;
  return (
    <Group gap={4}>
      {parts.flat().map((name) => (
        <Badge key={name} variant="light" tt="none">
          {name}
        </Badge>
      ))}
    </Group>
  );
}

function IssueToken({ onClose, onMade }: { onClose: () => void; onMade: (made: { name: string; token: string }) => void }) {
  const [name, setName] = useState('');
  const [days, setDays] = useState('30');
  const [regions, setRegions] = useState<string[]>([]);
  const [services, setServices] = useState<string[]>([]);
  const [methods, setMethods] = useState<string[]>([]);
  const known = useRegions();
  const issue = useMutation({
    mutationFn: () =>
      call(
        api.POST('/auth/v1/tokens', {
          body: {
            name,
            expires_at: new Date(Date.now() + Number(days) * DAY_MS).toISOString(),
            scopes: {
              regions: regions.length > 0 ? regions : null,
              services: services.length > 0 ? services : null,
              methods: methods.length > 0 ? methods : null,
            },
          },
        }),
      ),
    onSuccess: (made) => onMade(made),
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    issue.mutate();
  }
  return (
    <Modal opened onClose={onClose} title="New token" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput
            label="Name"
            description="What it is for, so that you know it again"
            placeholder="nightly report"
            required
            maxLength={100}
            data-autofocus
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Select label="Good for" data={SPANS} allowDeselect={false} value={days} onChange={(value) => setDays(value ?? '30')} />
          <Text size="sm" fw={500} mt="xs">
            Limit it to what the script needs
          </Text>
          <MultiSelect label="Regions" placeholder={regions.length === 0 ? 'all' : ''} data={known.data?.items.map((region) => region.name) ?? []} value={regions} onChange={setRegions} />
          <TagsInput label="Services" placeholder={services.length === 0 ? 'all; type a name and Enter' : ''} value={services} onChange={setServices} />
          <MultiSelect label="Methods" placeholder={methods.length === 0 ? 'all' : ''} data={METHODS} value={methods} onChange={setMethods} />
          {issue.isError && <ProblemAlert problem={asProblem(issue.error)} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={issue.isPending}>
              Make it
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
