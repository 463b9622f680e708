/// A WebSocket through the door: what was sent and what came, and a line to send more.
import { Badge, Button, Group, ScrollArea, Stack, Table, Text, TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { EmptyState } from '../components/EmptyState';
import { IconPlugConnected } from '@tabler/icons-react';
import { type Message, useSocket } from './socket';

export function SocketPane({ tab }: { tab: string }) {
  const socket = useSocket(tab);
  const [text, setText] = useState('');
  const end = useRef<HTMLDivElement>(null);
  const count = socket?.messages.length ?? 0;
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [count]);
  if (socket === undefined) {
    return (
      <EmptyState icon={IconPlugConnected} title="Not connected">
        Press Connect to open a WebSocket to this path. In the demo, service <b>echo</b> answers at <b>/ws</b> with whatever you
        send.
      </EmptyState>
    );
  }
  function submit(event: FormEvent) {
    event.preventDefault();
    socket?.send(text);
    setText('');
  }
  return (
    <Stack gap={0} h="100%">
      <Group px="sm" py={6} gap="md" className="summary" role="status">
        <Badge color={socket.state === 'open' ? '#1b6e33' : socket.state === 'connecting' ? '#1864ab' : 'gray.8'} variant="filled" autoContrast={false}>
          {socket.state}
        </Badge>
        <Text size="sm" c="dimmed">
          {socket.note}
        </Text>
      </Group>
      <ScrollArea flex={1} viewportProps={{ tabIndex: 0, 'aria-label': 'Messages', role: 'region' } as object}>
        <Table verticalSpacing={3} className="mono-table" aria-label="Messages">
          <Table.Tbody>
            {socket.messages.map((message: Message, index) => (
              <Table.Tr key={index}>
                <Table.Td w={110}>{new Date(message.at).toLocaleTimeString(undefined, { hour12: false })}</Table.Td>
                <Table.Td w={80}>{message.sent ? '↑ sent' : '↓ came'}</Table.Td>
                <Table.Td>{message.text}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        <div ref={end} />
      </ScrollArea>
      <form onSubmit={submit}>
        <Group p="xs" gap="xs" wrap="nowrap">
          <TextInput flex={1} size="sm" className="mono" aria-label="Message" placeholder="Message" value={text} onChange={(event) => setText(event.currentTarget.value)} />
          <Button size="sm" type="submit" disabled={socket.state !== 'open'}>
            Send message
          </Button>
        </Group>
      </form>
    </Stack>
  );
}
