/// Saved requests as a tree of folders, with search.
import { Badge, Box, Button, Group, NavLink, ScrollArea, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconFolder, IconSearch, IconUsers } from '@tabler/icons-react';
import { useState } from 'react';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { type Folder, type SavedRequest, treeOf, useSavedRequests } from './collections';

interface Props {
  onOpen: (saved: SavedRequest) => void;
  current: string | null;
  onImport: () => void;
}

export function CollectionTree({ onOpen, current, onImport }: Props) {
  const [wanted, setWanted] = useState('');
  const [settled] = useDebouncedValue(wanted.trim(), 200);
  const all = useSavedRequests(settled);
  return (
    <Stack gap={6} h="100%" className="collection-tree">
      <TextInput
        size="xs"
        placeholder="Search saved requests"
        aria-label="Search saved requests"
        leftSection={<IconSearch size={14} aria-hidden />}
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
      />
      {all.error !== null && <ProblemAlert problem={asProblem(all.error)} onRetry={() => void all.refetch()} />}
      <ScrollArea flex={1} type="auto">
        {all.data?.length === 0 && settled === '' && (
          <Stack gap="xs" p="xs">
            <Text size="xs" c="dimmed">
              Nothing saved yet. Save a request to find it here, or bring your own from Postman, Bruno or OpenAPI.
            </Text>
            <Button size="compact-xs" variant="light" onClick={onImport}>
              Import
            </Button>
          </Stack>
        )}
        {all.data?.length === 0 && settled !== '' && (
          <Text size="xs" c="dimmed" p="xs">
            Nothing saved contains “{settled}”.
          </Text>
        )}
        {all.data !== undefined && <Level folder={treeOf(all.data)} open={settled !== ''} onOpen={onOpen} current={current} />}
      </ScrollArea>
    </Stack>
  );
}

function Level({ folder, open, onOpen, current }: { folder: Folder; open: boolean; onOpen: Props['onOpen']; current: string | null }) {
  return (
    <>
      {folder.folders.map((inner) => (
        <NavLink
          key={inner.path}
          component="button"
          label={inner.name}
          leftSection={<IconFolder size={14} aria-hidden />}
          childrenOffset={14}
          defaultOpened={open || inner.path.split('/').length < 2}
          className="tree-item"
        >
          <Level folder={inner} open={open} onOpen={onOpen} current={current} />
        </NavLink>
      ))}
      {folder.requests.map((saved) => (
        <NavLink
          key={saved.id}
          component="button"
          active={saved.id === current}
          label={
            <Group gap={6} wrap="nowrap">
              <Badge size="xs" variant="light" color="gray" radius="sm" className="method">
                {saved.request.method}
              </Badge>
              <Text size="sm" truncate>
                {saved.name}
              </Text>
              {saved.shared_with.length > 0 && (
                <Box component="span" title={`Shared with ${saved.shared_with.join(', ')}`} lh={0}>
                  <IconUsers size={13} aria-label="Shared" />
                </Box>
              )}
            </Group>
          }
          onClick={() => onOpen(saved)}
          className="tree-item"
        />
      ))}
    </>
  );
}
