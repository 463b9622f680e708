/// What lists of sessions and tokens share: whose they are, pages, and ending one after a question.
import { Button, Center, Group, Loader, Modal, SegmentedControl, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { useSession } from '../session/session';

/// Whose: `undefined` one's own, `all`, or a principal.
export function OwnerPicker({ owner, onChange }: { owner: string | undefined; onChange: (owner: string | undefined) => void }) {
  const { may } = useSession();
  const [name, setName] = useState('');
  if (!may('session:manage', 'sessions:all')) return null;
  return (
    <Group gap="xs">
      <SegmentedControl
        aria-label="Whose"
        size="xs"
        data={[
          { value: 'own', label: 'Mine' },
          { value: 'all', label: 'Everybody’s' },
        ]}
        value={owner === undefined ? 'own' : 'all'}
        onChange={(value) => {
          setName('');
          onChange(value === 'own' ? undefined : 'all');
        }}
      />
      {owner !== undefined && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            onChange(name.trim() || 'all');
          }}
        >
          <TextInput
            size="xs"
            w={220}
            aria-label="Of one principal"
            placeholder="Of one: alice, service:reports-ui"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        </form>
      )}
    </Group>
  );
}

interface PagesProps {
  query: { isPending: boolean; isError: boolean; error: Error | null; refetch: () => void; hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => void };
  empty: ReactNode;
  isEmpty: boolean;
  children: ReactNode;
}

/// A list, or why there is none, and the way to its next page.
export function Pages({ query, empty, isEmpty, children }: PagesProps) {
  if (query.isError) return <ProblemAlert problem={asProblem(query.error)} onRetry={query.refetch} />;
  if (query.isPending) {
    return (
      <Center p="xl">
        <Loader aria-label="Loading" />
      </Center>
    );
  }
  return (
    <>
      {isEmpty ? empty : children}
      {query.hasNextPage && (
        <Center>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={query.fetchNextPage}>
            More
          </Button>
        </Center>
      )}
    </>
  );
}

interface AskProps {
  title: string;
  text: ReactNode;
  verb: string;
  /// What to do; the dialog stays open and shows the problem when it fails.
  run: () => Promise<unknown>;
  onClose: () => void;
}

/// A question before something that cannot be taken back.
export function Ask({ title, text, verb, run, onClose }: AskProps) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  async function go() {
    setBusy(true);
    setError(null);
    try {
      await run();
      onClose();
    } catch (error) {
      setError(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Text size="sm" mb="md" component="div">
        {text}
      </Text>
      {error !== null && <ProblemAlert problem={asProblem(error)} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose} data-autofocus>
          Cancel
        </Button>
        <Button color="red" loading={busy} onClick={() => void go()}>
          {verb}
        </Button>
      </Group>
    </Modal>
  );
}
