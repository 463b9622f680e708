/// Sending a logged request again: what will be sent, what must be given anew, a confirmation, and the comparison.
import { Alert, Anchor, Badge, Button, Checkbox, Code, Group, Modal, Stack, Table, Text, TextInput, Textarea } from '@mantine/core';
import { IconArrowsDiff, IconEqual } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link } from 'react-router';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { Body } from './EntryDetails';
import { Inert } from './Inert';
import { type Entry, isUnsafe, missingParts, showBody, titleOf } from './entry';
import { type Retried, type RetryAsk, compareAnswers, retryEntry, verdictOf } from './retry';

interface Props {
  entry: Entry;
  opened: boolean;
  onClose: () => void;
  onRetried?: () => void;
}

export function RetryModal({ entry, opened, onClose, onRetried }: Props) {
  const missing = missingParts(entry);
  const unsafe = isUnsafe(entry.method);
  const [reason, setReason] = useState(entry.reason ?? '');
  const [query, setQuery] = useState(entry.query ?? '');
  const [body, setBody] = useState(missing.body ? '' : (entry.body ?? ''));
  const [confirm, setConfirm] = useState(false);
  const retry = useMutation({ mutationFn: (ask: RetryAsk) => retryEntry(entry.id, ask) });

  function submit(event: FormEvent) {
    event.preventDefault();
    retry.mutate({
      ...(reason.trim() !== '' && { reason: reason.trim() }),
      confirm: unsafe && confirm,
      ...(missing.query && { query }),
      ...(missing.body && { body }),
    });
  }

  function close() {
    // Not before: the list behind would take this dialog away with it.
    if (retry.data) onRetried?.();
    retry.reset();
    setConfirm(false);
    onClose();
  }

  return (
    <Modal opened={opened} onClose={close} title="Retry this request" size="lg" closeButtonProps={{ 'aria-label': 'Close' }}>
      {retry.data ? (
        <Compared entry={entry} retried={retry.data} onAgain={() => retry.reset()} />
      ) : (
        <form onSubmit={submit}>
          <Stack gap="sm">
            <Code block style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
              <Inert>{titleOf(entry)}</Inert>
            </Code>
            <Text size="sm">
              It is sent as you, judged by today's policies, and written down as a request of its own that is linked to this
              one.
            </Text>
            {missing.headers.length > 0 && (
              <Alert color="blue" title="Some headers are left out">
                The log masks {missing.headers.join(', ')}, and a mask is never sent.
              </Alert>
            )}
            {missing.query && (
              <TextInput
                label="Query"
                description="The log masks a part of it. Give it whole, as it is to be sent."
                required
                value={query}
                onChange={(event) => setQuery(event.currentTarget.value)}
                ff="monospace"
              />
            )}
            {missing.body && (
              <Textarea
                label="Body"
                description="The log has only a part of it, or masks something in it. Give it whole."
                required
                autosize
                minRows={4}
                maxRows={14}
                value={body}
                onChange={(event) => setBody(event.currentTarget.value)}
                ff="monospace"
              />
            )}
            <TextInput
              label="Reason"
              description="Goes into the audit log. Some policies ask for one."
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              data-autofocus
            />
            {unsafe && (
              <Checkbox
                checked={confirm}
                onChange={(event) => setConfirm(event.currentTarget.checked)}
                label={
                  <>
                    Send it again. <b>{entry.method}</b> may change something, and may do so a second time.
                  </>
                }
              />
            )}
            {retry.isError && <ProblemAlert problem={asProblem(retry.error)} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                Cancel
              </Button>
              <Button type="submit" loading={retry.isPending} disabled={unsafe && !confirm}>
                Send again
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

function Compared({ entry, retried, onAgain }: { entry: Entry; retried: Retried; onAgain: () => void }) {
  const lines = compareAnswers(entry, retried);
  const verdict = verdictOf(lines);
  const differs = lines.some((line) => line.same === false);
  const body = showBody(retried.body, retried.body_encoding);
  return (
    <Stack gap="sm">
      <Alert
        color={differs ? 'yellow' : 'green'}
        icon={differs ? <IconArrowsDiff aria-hidden /> : <IconEqual aria-hidden />}
        title={verdict}
        role="status"
      />
      <Table fz="sm" layout="fixed" verticalSpacing={4}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w="22%">Part</Table.Th>
            <Table.Th>Recorded</Table.Th>
            <Table.Th>Now</Table.Th>
            <Table.Th w="16%">Same</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {lines.map((line) => (
            <Table.Tr key={line.name}>
              <Table.Th scope="row" fw={500}>
                {line.name}
              </Table.Th>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>{line.then === null ? '–' : <Inert>{line.then}</Inert>}</Table.Td>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>{line.now === null ? '–' : <Inert>{line.now}</Inert>}</Table.Td>
              <Table.Td>
                <Badge color={line.same === null ? 'gray' : line.same ? 'green' : 'yellow'} variant="light">
                  {line.same === null ? 'not kept' : line.same ? 'same' : 'differs'}
                </Badge>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {body.text !== '' && <Body text={body.text} label="Answer" note={retried.body_truncated ? 'Only the beginning' : body.note} />}
      <Group justify="space-between">
        {retried.audit_id && (
          <Anchor component={Link} to={`/audit/${retried.audit_id}`} size="sm">
            The retry in the log
          </Anchor>
        )}
        <Button variant="default" size="xs" onClick={onAgain}>
          Once more…
        </Button>
      </Group>
    </Stack>
  );
}
