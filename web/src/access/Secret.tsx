/// A secret that is shown this once.
import { Alert, Button, Code, CopyButton, Group, Modal, Stack, Text } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import type { ReactNode } from 'react';

interface Props {
  title: string;
  secret: string;
  /// How to use it.
  children: ReactNode;
  onClose: () => void;
}

export function Secret({ title, secret, children, onClose }: Props) {
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack gap="sm">
        <Alert color="yellow" title="Copy it now: it is not shown again">
          Doorman keeps only a fingerprint of it. Put it into your secret store; if it is lost, make a new one.
        </Alert>
        <Code block className="secret" aria-label="The secret" tabIndex={0}>
          {secret}
        </Code>
        <Text size="sm" component="div">
          {children}
        </Text>
        <Group justify="flex-end">
          <CopyButton value={secret}>
            {({ copied, copy }) => (
              <Button
                data-autofocus
                variant={copied ? 'light' : 'filled'}
                onClick={copy}
                leftSection={copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
              >
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
          <Button variant="default" onClick={onClose}>
            I have it
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
