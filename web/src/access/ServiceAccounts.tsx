/// Service accounts, for administrators: made, rotated, disabled, deleted.
import { Badge, Button, Code, Group, Menu, Modal, Select, Stack, Table, TagsInput, Text, TextInput, Textarea, VisuallyHidden } from '@mantine/core';
import { IconDots, IconPlus, IconRobot } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { type Schema, api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { Ask } from '../components/Ask';
import { EmptyState } from '../components/EmptyState';
import { Pages, usePages } from '../components/Pages';
import { ProblemAlert } from '../components/ProblemAlert';
import { Time } from '../components/Time';
import { useSession } from '../session/session';
import { Secret } from './Secret';

type Account = Schema<'ServiceAccount'>;
type Doing = { what: 'create' } | { what: 'edit' | 'rotate' | 'disable' | 'delete'; account: Account };

/// In a patch, `null` leaves things as they are.
const UNCHANGED = { owner: null, description: null, networks: null, disabled: null };

const OVERLAPS = [
  { value: '0', label: 'ends at once' },
  { value: '3600', label: 'stays good for an hour' },
  { value: '86400', label: 'stays good for a day' },
  { value: '604800', label: 'stays good for a week' },
];

export function ServiceAccounts() {
  const queries = useQueryClient();
  const [doing, setDoing] = useState<Doing | null>(null);
  const [made, setMade] = useState<{ name: string; secret: string } | null>(null);
  const { query: list, items: accounts } = usePages(['service-accounts'], (cursor) => call(api.GET('/auth/v1/service-accounts', { params: { query: { cursor } } })));
  const refresh = () => queries.invalidateQueries({ queryKey: ['service-accounts'] });
  const close = () => setDoing(null);
  const show = ({ name, secret }: Schema<'ServiceAccountSecret'>) => {
    close();
    // An account of the directory has no secret here.
    if (secret) setMade({ name, secret });
    void refresh();
  };
  const disable = (name: string, disabled: boolean) =>
    call(api.PATCH('/auth/v1/service-accounts/{name}', { params: { path: { name } }, body: { ...UNCHANGED, disabled } }));

  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="dimmed" maw={600}>
          For programs: an internal UI that acts for its users, or a service with rights of its own. What an account may do stands
          in the policies, as <Code>service:name</Code>.
        </Text>
        <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => setDoing({ what: 'create' })}>
          New service account
        </Button>
      </Group>
      <Pages
        query={list}
        isEmpty={accounts.length === 0}
        empty={
          <EmptyState icon={IconRobot} title="No service accounts">
            Make one for a program that must call without a person, and permit it something in a policy.
          </EmptyState>
        }
      >
        <Table.ScrollContainer minWidth={760}>
          <Table fz="sm" verticalSpacing={6}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Name</Table.Th>
                <Table.Th>Owner</Table.Th>
                <Table.Th>Networks</Table.Th>
                <Table.Th>Last used</Table.Th>
                <Table.Th>State</Table.Th>
                <Table.Th>
                  <VisuallyHidden>Actions</VisuallyHidden>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {accounts.map((account) => (
                <Table.Tr key={account.name}>
                  <Table.Td>
                    <Text size="sm" fw={500}>
                      {account.name}
                    </Text>
                    <Text size="xs" c="dimmed" maw={320}>
                      {account.description}
                    </Text>
                  </Table.Td>
                  <Table.Td>{account.owner}</Table.Td>
                  <Table.Td>{account.networks.length === 0 ? 'any' : account.networks.join(', ')}</Table.Td>
                  <Table.Td>{account.last_used_at ? <Time at={account.last_used_at} distance /> : 'not yet'}</Table.Td>
                  <Table.Td>
                    <Badge variant="light" color={account.disabled ? 'red' : 'green'}>
                      {account.disabled ? 'disabled' : 'enabled'}
                    </Badge>
                    {account.directory && (
                      <Text size="xs" c="dimmed">
                        its password is the directory’s
                      </Text>
                    )}
                    {account.secrets > 1 && (
                      <Text size="xs" c="dimmed">
                        {account.secrets} secrets are good
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td ta="right">
                    <Menu position="bottom-end" width={200}>
                      <Menu.Target>
                        <Button size="compact-sm" variant="default" aria-label={`Change ${account.name}`}>
                          <IconDots size={16} aria-hidden />
                        </Button>
                      </Menu.Target>
                      <Menu.Dropdown>
                        <Menu.Item onClick={() => setDoing({ what: 'edit', account })}>Edit…</Menu.Item>
                        {!account.directory && <Menu.Item onClick={() => setDoing({ what: 'rotate', account })}>Rotate the secret…</Menu.Item>}
                        {account.disabled ? (
                          <Menu.Item onClick={() => void disable(account.name, false).then(refresh)}>Enable</Menu.Item>
                        ) : (
                          <Menu.Item onClick={() => setDoing({ what: 'disable', account })}>Disable…</Menu.Item>
                        )}
                        <Menu.Divider />
                        <Menu.Item color="red" onClick={() => setDoing({ what: 'delete', account })}>
                          Delete…
                        </Menu.Item>
                      </Menu.Dropdown>
                    </Menu>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Pages>
      {(doing?.what === 'create' || doing?.what === 'edit') && (
        <AccountForm
          account={doing.what === 'edit' ? doing.account : null}
          onClose={close}
          onMade={show}
          onSaved={() => {
            close();
            void refresh();
          }}
        />
      )}
      {doing?.what === 'rotate' && <Rotate account={doing.account} onClose={close} onMade={show} />}
      {doing?.what === 'disable' && (
        <Ask
          title={`Disable ${doing.account.name}?`}
          verb="Disable it"
          text="Its sessions end at once, and it is refused everywhere until somebody enables it again."
          run={async () => {
            await disable(doing.account.name, true);
            await refresh();
          }}
          onClose={close}
        />
      )}
      {doing?.what === 'delete' && (
        <Ask
          title={`Delete ${doing.account.name}?`}
          verb="Delete it"
          text="Its sessions end with it. What it did stays in the audit log. To try first whether anybody needs it, disable it instead."
          run={async () => {
            await call(api.DELETE('/auth/v1/service-accounts/{name}', { params: { path: { name: doing.account.name } } }));
            await refresh();
          }}
          onClose={close}
        />
      )}
      {made !== null && (
        <Secret title={`Secret of ${made.name}`} secret={made.secret} onClose={() => setMade(null)}>
          The program shows name and secret as Basic credentials, or gets tokens with the OAuth grant{' '}
          <Code>client_credentials</Code>:
          <Code block mt="xs">{`curl -u ${made.name}:$DOORMAN_SECRET ${location.origin}/oauth2/token -d grant_type=client_credentials`}</Code>
        </Secret>
      )}
    </Stack>
  );
}

interface FormProps {
  account: Account | null;
  onClose: () => void;
  onMade: (made: Schema<'ServiceAccountSecret'>) => void;
  onSaved: () => void;
}

function AccountForm({ account, onClose, onMade, onSaved }: FormProps) {
  const { me } = useSession();
  const [name, setName] = useState(account?.name ?? '');
  const [owner, setOwner] = useState(account?.owner ?? me.subject);
  const [description, setDescription] = useState(account?.description ?? '');
  const [networks, setNetworks] = useState<string[]>(account?.networks ?? []);
  const save = useMutation({
    mutationFn: async () => {
      const about = { owner, description, networks };
      if (account === null) {
        onMade(await call(api.POST('/auth/v1/service-accounts', { body: { name, ...about } })));
      } else {
        await call(api.PATCH('/auth/v1/service-accounts/{name}', { params: { path: { name: account.name } }, body: { ...UNCHANGED, ...about } }));
        onSaved();
      }
    },
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }
  return (
    <Modal opened onClose={onClose} title={account === null ? 'New service account' : `Edit ${account.name}`} closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          {account === null && (
            <TextInput label="Name" description="As policies and the audit log will call it" placeholder="reports-ui" required data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
          )}
          <TextInput label="Owner" description="Who answers for it" required value={owner} onChange={(event) => setOwner(event.currentTarget.value)} />
          <Textarea label="Description" autosize minRows={2} value={description} onChange={(event) => setDescription(event.currentTarget.value)} />
          <TagsInput label="Networks" description="From where its secret is taken, such as 10.0.0.0/8; none: from anywhere" value={networks} onChange={setNetworks} />
          {save.isError && <ProblemAlert problem={asProblem(save.error)} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending}>
              {account === null ? 'Make it' : 'Save'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Rotate({ account, onClose, onMade }: { account: Account; onClose: () => void; onMade: (made: Schema<'ServiceAccountSecret'>) => void }) {
  const [overlap, setOverlap] = useState('86400');
  const rotate = useMutation({
    mutationFn: () =>
      call(
        api.POST('/auth/v1/service-accounts/{name}/rotate', {
          params: { path: { name: account.name } },
          body: { overlap_seconds: Number(overlap) },
        }),
      ),
    onSuccess: onMade,
  });
  return (
    <Modal opened onClose={onClose} title={`Rotate the secret of ${account.name}`} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="sm">
        <Text size="sm">A new secret is made and shown once. Meanwhile the present one</Text>
        <Select aria-label="The present secret" data={OVERLAPS} allowDeselect={false} value={overlap} onChange={(value) => setOverlap(value ?? '86400')} data-autofocus />
        {rotate.isError && <ProblemAlert problem={asProblem(rotate.error)} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
            Rotate
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
