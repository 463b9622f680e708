/// The time of each hop, and how much of the whole it is.
import { Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api, call } from '../../client/api';
import type { Answer, Exchange } from '../exchange';
import { formatMs } from './format';
import { hopsOf, serverTiming } from './timing';

export function TimingView({ exchange, answer }: { exchange: Exchange; answer: Answer }) {
  const id = exchange.all ? null : answer.auditId;
  const entry = useQuery({
    queryKey: ['timing', id],
    enabled: id !== null && exchange.state === 'done',
    queryFn: () => call(api.GET('/api/v1/audit/{id}', { params: { path: { id: id ?? '' } } })),
    // The outcome is written a moment after the answer's end.
    refetchInterval: (query) => (query.state.data?.outcome || query.state.dataUpdateCount > 20 ? false : 300),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const { headMs, totalMs, tokenMs } = exchange;
  const most = Math.max(totalMs ?? 0, 1);
  const header = (wanted: string) => answer.headers.find(([name]) => name === wanted)?.[1];
  const said = serverTiming(header('server-timing'));
  return (
    <Stack p="sm" gap="xs" maw={720}>
      <Table withRowBorders={false} verticalSpacing={4} aria-label="Times of each hop">
        <Table.Tbody>
          {hopsOf({ totalMs, tokenMs, entry: entry.data, timing: header('doorman-timing') }).map(({ name, ms, says }) => (
            <Table.Tr key={name}>
              <Table.Th scope="row">
                {name}
                <Text size="xs" c="dimmed" fw={400}>
                  {says}
                </Text>
              </Table.Th>
              <Table.Td w={90}>{ms === null ? '…' : formatMs(ms)}</Table.Td>
              <Table.Td w={200}>
                <div className="bar" style={{ width: `${((ms ?? 0) / most) * 100}%` }} />
              </Table.Td>
            </Table.Tr>
          ))}
          <Table.Tr>
            <Table.Th scope="row">To the first byte</Table.Th>
            <Table.Td>{headMs === null ? '…' : formatMs(headMs)}</Table.Td>
            <Table.Td />
          </Table.Tr>
          <Table.Tr>
            <Table.Th scope="row">In all</Table.Th>
            <Table.Td>{totalMs === null ? '…' : formatMs(totalMs)}</Table.Td>
            <Table.Td />
          </Table.Tr>
          {said.map(({ name, ms }) => (
            <Table.Tr key={name}>
              <Table.Th scope="row">
                {name}
                <Text size="xs" c="dimmed" fw={400}>
                  As the service itself says (Server-Timing)
                </Text>
              </Table.Th>
              <Table.Td>{formatMs(ms)}</Table.Td>
              <Table.Td />
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Stack>
  );
}
