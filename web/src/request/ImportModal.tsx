/// Bringing requests in: a curl command, or files of Postman, Bruno and OpenAPI.
import { Alert, Button, FileInput, Group, List, Modal, Select, Stack, Tabs, Text, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { asProblem } from '../client/problem';
import { importRequests } from '../collections/collections';
import { parseCurl } from './curl';
import { type Imported, readFile } from './importers';
import { openTab } from './tabs';

/// More tabs at once than anybody wants.
const MAX_TABS = 10;

export default function ImportModal({ onClose }: { onClose: () => void }) {
  const [command, setCommand] = useState('');
  const [found, setFound] = useState<Imported[]>([]);
  const [errors, setErrors] = useState<string[]>([]);
  const [to, setTo] = useState<'collection' | 'tabs'>('collection');
  const [busy, setBusy] = useState(false);

  function fromCurl() {
    const pasted = parseCurl(command);
    if (pasted === null) {
      setErrors(['This is no curl command with an address.']);
      return;
    }
    openTab(pasted.draft);
    for (const note of pasted.notes) {
      notifications.show({ message: note, autoClose: 8000 });
    }
    onClose();
  }
  async function read(files: File[]) {
    const results = await Promise.allSettled(files.map(async (file) => readFile(file.name, await file.text())));
    setFound(results.flatMap((result) => (result.status === 'fulfilled' ? result.value : [])));
    setErrors(results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason?.message ?? result.reason)] : [])));
  }
  async function take() {
    setBusy(true);
    try {
      if (to === 'tabs') {
        for (const { draft } of found.slice(0, MAX_TABS)) {
          openTab(draft);
        }
      } else {
        const saved = await importRequests(found);
        notifications.show({ title: 'Imported', message: `${saved} requests are in your private collection. Choose region and service before sending.` });
      }
      onClose();
    } catch (error) {
      const { detail, hint } = asProblem(error);
      setErrors([`${detail} ${hint ?? ''}`]);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Modal opened onClose={onClose} title="Import" size="lg">
      <Tabs defaultValue="curl">
        <Tabs.List mb="sm">
          <Tabs.Tab value="curl">curl command</Tabs.Tab>
          <Tabs.Tab value="files">Postman, Bruno, OpenAPI</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="curl">
          <Stack>
            <Textarea
              label="Command"
              description="From documentation, a colleague, or a browser's “Copy as cURL”. Credentials are left out."
              autosize
              minRows={5}
              maxRows={14}
              data-autofocus
              value={command}
              onChange={(event) => setCommand(event.currentTarget.value)}
              className="mono"
            />
            <Group justify="flex-end">
              <Button onClick={fromCurl} disabled={command.trim() === ''}>
                Fill the form
              </Button>
            </Group>
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="files">
          <Stack>
            <FileInput
              label="Files"
              description="A Postman collection (v2.1), Bruno's .bru files or exported collection, or an OpenAPI document (JSON or YAML)."
              placeholder="Choose files"
              multiple
              accept=".json,.yaml,.yml,.bru"
              onChange={(files) => void read(files)}
            />
            {found.length > 0 && (
              <>
                <Text size="sm">
                  {found.length} {found.length === 1 ? 'request' : 'requests'}:
                </Text>
                <List size="sm">
                  {found.slice(0, 8).map(({ folders, name, draft }, index) => (
                    <List.Item key={index}>
                      {[...folders, name].join(' / ')} ({draft.method} {draft.path})
                    </List.Item>
                  ))}
                  {found.length > 8 && <List.Item>and {found.length - 8} more</List.Item>}
                </List>
                <Select
                  label="To"
                  data={[
                    { value: 'collection', label: 'my private collection' },
                    { value: 'tabs', label: `tabs (the first ${Math.min(found.length, MAX_TABS)})` },
                  ]}
                  value={to}
                  allowDeselect={false}
                  onChange={(value) => setTo(value as typeof to)}
                />
              </>
            )}
            <Group justify="flex-end">
              <Button onClick={() => void take()} disabled={found.length === 0} loading={busy}>
                Import
              </Button>
            </Group>
          </Stack>
        </Tabs.Panel>
      </Tabs>
      {errors.map((error) => (
        <Alert key={error} color="red" mt="sm" role="alert">
          {error}
        </Alert>
      ))}
    </Modal>
  );
}
