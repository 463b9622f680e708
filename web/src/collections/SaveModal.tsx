/// Saving a request: name, folder, and who shares it.
import { Autocomplete, Button, Group, Modal, MultiSelect, Stack, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type FormEvent, useState } from 'react';
import { type Problem, asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { type Draft, titleOf } from '../request/draft';
import type { Saved } from '../request/tabs';
import { useSession } from '../session/session';
import { createSaved, draftOf, edit, useRefreshSaved, useSavedRequests } from './collections';

interface Props {
  draft: Draft;
  onSaved: (saved: Saved) => void;
  onClose: () => void;
}

export default function SaveModal({ draft, onSaved, onClose }: Props) {
  const { me } = useSession();
  const all = useSavedRequests('');
  const refresh = useRefreshSaved();
  const [name, setName] = useState(titleOf(draft));
  const [folder, setFolder] = useState('');
  const [groups, setGroups] = useState<string[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const folders = [...new Set((all.data ?? []).map((saved) => saved.folder).filter((folder) => folder !== ''))].sort();

  async function save(event: FormEvent) {
    event.preventDefault();
    try {
      const saved = await createSaved(edit(name, folder, groups, draft));
      onSaved({ id: saved.id, name: saved.name, draft: draftOf(saved) });
      notifications.show({ message: `Saved as “${saved.name}”.` });
      await refresh();
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
    }
  }
  return (
    <Modal opened onClose={onClose} title="Save request">
      <form onSubmit={save}>
        <Stack>
          {problem !== null && <ProblemAlert problem={problem} />}
          <TextInput label="Name" required withAsterisk={false} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Autocomplete label="Folder" description="Folders within folders by a slash: billing/invoices" data={folders} value={folder} onChange={setFolder} />
          <MultiSelect
            label="Shared with"
            description={me.groups.length > 0 ? 'Members of these groups see and edit it. None: it is yours alone.' : 'You are in no group, so it is yours alone.'}
            data={me.groups}
            value={groups}
            onChange={setGroups}
            disabled={me.groups.length === 0}
          />
          <Group justify="flex-end">
            <Button type="submit">Save</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
