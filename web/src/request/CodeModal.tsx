/// The request as code to copy.
import { Alert, Button, CopyButton, Group, Modal, SegmentedControl, Stack, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { Unsendable, compose } from './compose';
import type { Draft } from './draft';
import { LANGUAGES, type Language, snippet } from './snippets';

interface Props {
  draft: Draft;
  values: Map<string, string>;
  onClose: () => void;
}

export default function CodeModal({ draft, values, onClose }: Props) {
  const [language, setLanguage] = useState<Language>('curl');
  const [code, setCode] = useState('');
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    let live = true;
    async function make() {
      try {
        const code = await snippet(language, location.origin, draft, compose(draft, values));
        if (live) {
          setCode(code);
          setError(null);
        }
      } catch (error) {
        if (live) {
          setError(error instanceof Unsendable ? error.message : 'This request cannot be written as code.');
        }
      }
    }
    void make();
    return () => {
      live = false;
    };
  }, [language, draft, values]);
  return (
    <Modal opened onClose={onClose} title="Code" size="xl">
      <Stack>
        <SegmentedControl
          data={LANGUAGES.map(({ id, label }) => ({ value: id, label }))}
          value={language}
          onChange={(value) => setLanguage(value as Language)}
          aria-label="Language"
        />
        {error !== null ? (
          <Alert color="yellow">{error}</Alert>
        ) : (
          <pre className="snippet" tabIndex={0} aria-label="Code">
            {code}
          </pre>
        )}
        <Group justify="space-between" wrap="nowrap">
          <Text size="sm" c="dimmed">
            Reads your token from DOORMAN_TOKEN: make a personal token on the Access page.
          </Text>
          <CopyButton value={code}>
            {({ copied, copy }) => (
              <Button onClick={copy} disabled={error !== null}>
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
        </Group>
      </Stack>
    </Modal>
  );
}
