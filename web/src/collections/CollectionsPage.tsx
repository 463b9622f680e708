/// All saved requests: search, rename, move, share, history, delete.
import { Anchor, Autocomplete, Badge, Button, Code, Drawer, Group, Modal, MultiSelect, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconBook2, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Suspense, lazy, useState } from 'react';
import { useNavigate } from 'react-router';
import { useCommands } from '../app/commands';
import { api, call } from '../client/api';
import { type Problem, asProblem } from '../client/problem';
import { EmptyState } from '../components/EmptyState';
import { ProblemAlert } from '../components/ProblemAlert';
import { formatTime } from '../components/Time';
import { openTab } from '../request/tabs';
import { useSession } from '../session/session';
import { type SavedRequest, deleteSaved, draftOf, edit, updateSaved, useRefreshSaved, useSavedRequests } from './collections';

const ImportModal = lazy(() => import('../request/ImportModal'));

export default function CollectionsPage() {
  const [wanted, setWanted] = useState('');
  const [settled] = useDebouncedValue(wanted.trim(), 200);
  const all = useSavedRequests(settled);
  const refresh = useRefreshSaved();
  const navigate = useNavigate();
  const { me } = useSession();
  const [editing, setEditing] = useState<SavedRequest | null>(null);
  const [history, setHistory] = useState<SavedRequest | null>(null);
  const [importing, setImporting] = useState(false);
  useCommands([{ id: 'collections.import', label: 'Import requests', group: 'Collections', run: () => setImporting(true) }]);

  function open(saved: SavedRequest) {
    openTab(draftOf(saved), { id: saved.id, name: saved.name, draft: draftOf(saved) });
    void navigate('/request');
  }
  const requests = [...(all.data ?? [])].sort((a, b) => `${a.folder}/${a.name}`.localeCompare(`${b.folder}/${b.name}`));
  return (
    <Stack p="md" gap="md">
      <Group justify="space-between">
        <Title order={1} size="h3">
          Collections
        </Title>
        <Group gap="xs">
          <TextInput
            w={280}
            placeholder="Search by name, folder or path"
            aria-label="Search saved requests"
            leftSection={<IconSearch size={16} aria-hidden />}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
          />
          <Button variant="default" onClick={() => setImporting(true)}>
            Import
          </Button>
        </Group>
      </Group>
      {all.error !== null && <ProblemAlert problem={asProblem(all.error)} onRetry={() => void all.refetch()} />}
      {all.data?.length === 0 &&
        (settled === '' ? (
          <EmptyState icon={IconBook2} title="No saved requests yet">
            Write a request on the Request page and press Save (Ctrl+S), or import what you have in Postman, Bruno or an OpenAPI
            document. Requests are private until you share them with a group of yours.
          </EmptyState>
        ) : (
          <EmptyState icon={IconSearch} title={`Nothing contains “${settled}”`}>
            The search looks at names, folders, methods, services and paths.
          </EmptyState>
        ))}
      {requests.length > 0 && (
        <Table highlightOnHover aria-label="Saved requests">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Folder</Table.Th>
              <Table.Th>Request</Table.Th>
              <Table.Th>Shared with</Table.Th>
              <Table.Th>Edited</Table.Th>
              <Table.Th w={200}>
                <span className="visually-hidden">Actions</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {requests.map((saved) => (
              <Table.Tr key={saved.id}>
                <Table.Td>
                  <Anchor component="button" onClick={() => open(saved)}>
                    {saved.name}
                  </Anchor>
                </Table.Td>
                <Table.Td>{saved.folder}</Table.Td>
                <Table.Td>
                  <Code>
                    {saved.request.method} {saved.request.service} {saved.request.path}
                  </Code>
                </Table.Td>
                <Table.Td>
                  {saved.shared_with.length === 0 ? (
                    <Text size="sm" c="dimmed">
                      private
                    </Text>
                  ) : (
                    <Group gap={4}>
                      {saved.shared_with.map((group) => (
                        <Badge key={group} variant="default">
                          {group}
                        </Badge>
                      ))}
                    </Group>
                  )}
                </Table.Td>
                <Table.Td>
                  <Text size="sm">
                    {formatTime(saved.updated_at)} by {saved.updated_by.replace(/^user:/, '')}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <Group gap={4} justify="flex-end" wrap="nowrap">
                    <Button size="compact-xs" variant="default" onClick={() => setEditing(saved)}>
                      Edit
                    </Button>
                    <Button size="compact-xs" variant="default" onClick={() => setHistory(saved)}>
                      History
                    </Button>
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {editing !== null && (
        <EditModal
          saved={editing}
          isOwner={editing.owner === me.subject}
          groups={me.groups}
          folders={[...new Set(requests.map(({ folder }) => folder).filter((folder) => folder !== ''))]}
          onClose={(changed) => {
            setEditing(null);
            if (changed) {
              void refresh();
            }
          }}
        />
      )}
      {history !== null && <HistoryDrawer saved={history} onClose={() => setHistory(null)} onRestored={() => void refresh()} />}
      {importing && (
        <Suspense>
          <ImportModal
            onClose={() => {
              setImporting(false);
              void refresh();
            }}
          />
        </Suspense>
      )}
    </Stack>
  );
}

interface EditProps {
  saved: SavedRequest;
  isOwner: boolean;
  groups: string[];
  folders: string[];
  onClose: (changed: boolean) => void;
}

function EditModal({ saved, isOwner, groups, folders, onClose }: EditProps) {
  const [name, setName] = useState(saved.name);
  const [folder, setFolder] = useState(saved.folder);
  const [shared, setShared] = useState(saved.shared_with);
  const [sure, setSure] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function attempt(change: () => Promise<unknown>, said: string) {
    try {
      await change();
      notifications.show({ message: said });
      onClose(true);
    } catch (error) {
      setProblem(asProblem(error));
    }
  }
  return (
    <Modal opened onClose={() => onClose(false)} title="Edit saved request">
      <Stack>
        {problem !== null && <ProblemAlert problem={problem} />}
        <TextInput label="Name" data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Autocomplete label="Folder" data={folders} value={folder} onChange={setFolder} />
        <MultiSelect
          label="Shared with"
          description={isOwner ? 'Members of these groups see and edit it.' : `Only ${saved.owner.replace(/^user:/, '')} says who shares it.`}
          data={[...new Set([...groups, ...saved.shared_with])]}
          value={shared}
          onChange={setShared}
          disabled={!isOwner}
        />
        <Group justify="space-between">
          {isOwner ? (
            <Button
              variant={sure ? 'filled' : 'subtle'}
              color="red.9"
              onClick={() => (sure ? void attempt(() => deleteSaved(saved.id, saved.version), 'Deleted.') : setSure(true))}
            >
              {sure ? 'Delete for good' : 'Delete'}
            </Button>
          ) : (
            <span />
          )}
          <Button onClick={() => void attempt(() => updateSaved(saved.id, saved.version, edit(name, folder, shared, draftOf(saved))), 'Saved.')}>Save</Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function HistoryDrawer({ saved, onClose, onRestored }: { saved: SavedRequest; onClose: () => void; onRestored: () => void }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const versions = useQuery({
    queryKey: ['collection-history', saved.id, saved.version],
    queryFn: () => call(api.GET('/api/v1/collections/{id}/history', { params: { path: { id: saved.id } } })),
  });
  async function restore(version: { name: string; folder: string; request: unknown }) {
    try {
      await updateSaved(saved.id, saved.version, edit(version.name, version.folder, saved.shared_with, draftOf(version)));
      notifications.show({ message: 'Restored as a new version.' });
      onRestored();
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
    }
  }
  return (
    <Drawer opened onClose={onClose} position="right" size="lg" title={`History of “${saved.name}”`}>
      <Stack>
        {problem !== null && <ProblemAlert problem={problem} />}
        {versions.error !== null && <ProblemAlert problem={asProblem(versions.error)} />}
        {versions.data?.items.map((version, index) => (
          <Stack key={version.version} gap={4} className="version">
            <Group justify="space-between">
              <Text size="sm">
                <b>Version {version.version}</b>, {formatTime(version.at)} by {version.by.replace(/^user:/, '')}
              </Text>
              {index > 0 && (
                <Button size="compact-xs" variant="default" onClick={() => void restore(version)}>
                  Restore
                </Button>
              )}
            </Group>
            <Code block>
              {version.folder && `${version.folder}/`}
              {version.name}
              {'\n'}
              {version.request.method} {version.request.region}/{version.request.service} {version.request.path}
              {version.request.body?.text ? `\n\n${version.request.body.text.slice(0, 2000)}` : ''}
            </Code>
          </Stack>
        ))}
      </Stack>
    </Drawer>
  );
}
