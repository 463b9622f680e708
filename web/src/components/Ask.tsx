/// A question before something that cannot be taken back.
import { Button, Group, Modal, Text } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { asProblem } from '../client/problem';
import { ProblemAlert } from './ProblemAlert';

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
