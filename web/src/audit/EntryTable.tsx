/// Entries as a table. Up and down (or k and j) move, Enter opens.
import { Badge, Table, Text, UnstyledButton } from '@mantine/core';
import { type KeyboardEvent, useRef } from 'react';
import { Time, formatSpan } from '../components/Time';
import { Inert } from './Inert';
import { type Entry, outcomeOf, shortName, titleOf } from './entry';

interface Props {
  entries: Entry[];
  selected: string | null;
  /// Those that have just arrived.
  fresh: ReadonlySet<string>;
  onOpen: (id: string) => void;
}

export function EntryTable({ entries, selected, fresh, onOpen }: Props) {
  const body = useRef<HTMLTableSectionElement>(null);

  function move(event: KeyboardEvent) {
    const step = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0;
    if (step === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const buttons = [...(body.current?.querySelectorAll<HTMLButtonElement>('button.audit-open') ?? [])];
    const next = buttons[buttons.indexOf(document.activeElement as HTMLButtonElement) + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }

  return (
    <Table.ScrollContainer minWidth={780}>
      <Table highlightOnHover verticalSpacing={6} fz="sm" className="audit-table" aria-label="Audit entries, newest first">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={120}>Time</Table.Th>
            <Table.Th w={110}>Who</Table.Th>
            <Table.Th>What</Table.Th>
            <Table.Th w={112}>Outcome</Table.Th>
            <Table.Th w={80} ta="right">
              Took
            </Table.Th>
            <Table.Th w="16%">Reason</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody ref={body} onKeyDown={move}>
          {entries.map((entry) => (
            <Row key={entry.id} entry={entry} isSelected={entry.id === selected} isFresh={fresh.has(entry.id)} onOpen={onOpen} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ entry, isSelected, isFresh, onOpen }: { entry: Entry; isSelected: boolean; isFresh: boolean; onOpen: (id: string) => void }) {
  const outcome = outcomeOf(entry);
  const title = titleOf(entry);
  const took = entry.outcome?.duration_ms;
  return (
    <Table.Tr
      className={isFresh ? 'audit-row audit-new' : 'audit-row'}
      data-selected={isSelected || undefined}
      onClick={() => onOpen(entry.id)}
    >
      <Table.Td>
        <Time at={entry.time} />
      </Table.Td>
      <Table.Td title={entry.actor === entry.subject ? (entry.subject ?? '') : `${entry.actor} for ${entry.subject}`}>
        <Inert>{shortName(entry.subject)}</Inert>
        {entry.actor !== entry.subject && (
          <Text size="xs" c="dimmed" truncate>
            via <Inert>{shortName(entry.actor)}</Inert>
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <UnstyledButton
          className="audit-open"
          onClick={(event) => {
            event.stopPropagation();
            onOpen(entry.id);
          }}
        >
          <Inert>{title}</Inert>
        </UnstyledButton>
      </Table.Td>
      <Table.Td>
        <Badge color={outcome.color} variant="light" title={outcome.hint}>
          {outcome.label}
        </Badge>
      </Table.Td>
      <Table.Td ta="right">{took == null ? '' : formatSpan(took)}</Table.Td>
      <Table.Td title={entry.reason ?? undefined}>{entry.reason && <Inert>{entry.reason}</Inert>}</Table.Td>
    </Table.Tr>
  );
}
