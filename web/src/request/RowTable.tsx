/// A table of names and values with a switch for each line, and all of it as text to edit at once.
import { ActionIcon, Button, Checkbox, FileButton, Group, Stack, Text, TextInput, Textarea } from '@mantine/core';
import { IconFile, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import { type PartRow, row, rowsFromText, rowsToText } from './draft';

interface Props {
  /// What the lines are: `header`, `parameter`.
  what: string;
  rows: PartRow[];
  onChange: (rows: PartRow[]) => void;
  /// Lines may hold a file.
  files?: boolean;
  /// Says what is wrong with a line, if anything.
  warn?: (row: PartRow) => string | null;
}

export function RowTable({ what, rows, onChange, files = false, warn }: Props) {
  const [bulk, setBulk] = useState<string | null>(null);
  if (bulk !== null) {
    return (
      <Stack gap="xs">
        <Textarea
          autosize
          minRows={4}
          maxRows={14}
          autoFocus
          value={bulk}
          onChange={(event) => setBulk(event.currentTarget.value)}
          aria-label={`All ${what}s as text`}
          description="One a line as name: value; # turns a line off."
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        />
        <Group gap="xs">
          <Button
            size="compact-sm"
            onClick={() => {
              onChange(rowsFromText(bulk));
              setBulk(null);
            }}
          >
            Use these
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => setBulk(null)}>
            Back
          </Button>
        </Group>
      </Stack>
    );
  }
  // One empty line at the end, so that typing is all it takes to add one.
  const last = rows.at(-1);
  const lines: PartRow[] = last === undefined || last.name !== '' || last.value !== '' || last.file ? [...rows, row('', '')] : rows;
  const change = (index: number, part: Partial<PartRow>) =>
    onChange(lines.map((line, at) => (at === index ? { ...line, ...part } : line)));
  return (
    <Stack gap={4}>
      {lines.map((line, index) => {
        const warning = warn?.(line) ?? null;
        const label = `${what} ${index + 1}`;
        // The line to type into has nothing to switch off or remove yet.
        const isBlank = index === lines.length - 1 && line.name === '' && line.value === '' && line.file === undefined;
        return (
          <Group key={index} gap={6} wrap="nowrap" align="flex-start" role="group" aria-label={label}>
            <Checkbox
              size="xs"
              mt={7}
              style={isBlank ? { visibility: 'hidden' } : undefined}
              checked={line.on}
              onChange={(event) => change(index, { on: event.currentTarget.checked })}
              aria-label={`Send ${label}`}
            />
            <TextInput
              size="xs"
              w="32%"
              placeholder="Name"
              aria-label={`Name of ${label}`}
              className="mono"
              value={line.name}
              onChange={(event) => change(index, { name: event.currentTarget.value })}
            />
            {line.file === undefined ? (
              <TextInput
                size="xs"
                flex={1}
                placeholder="Value"
                aria-label={`Value of ${label}`}
                className="mono"
                description={warning}
                inputWrapperOrder={['label', 'input', 'description']}
                value={line.value}
                onChange={(event) => change(index, { value: event.currentTarget.value })}
              />
            ) : (
              <Text size="xs" flex={1} mt={6} truncate>
                {line.file.name}
              </Text>
            )}
            {files && (
              <FileButton onChange={(file) => file && change(index, { file, name: line.name || 'file' })}>
                {(props) => (
                  <ActionIcon {...props} variant="subtle" color="gray" mt={1} aria-label={`File for ${label}`}>
                    <IconFile size={15} />
                  </ActionIcon>
                )}
              </FileButton>
            )}
            <ActionIcon
              variant="subtle"
              color="gray"
              mt={1}
              aria-label={`Remove ${label}`}
              style={isBlank ? { visibility: 'hidden' } : undefined}
              onClick={() => onChange(lines.filter((_, at) => at !== index))}
            >
              <IconTrash size={15} />
            </ActionIcon>
          </Group>
        );
      })}
      {!files && (
        <Group>
          <Button size="compact-xs" variant="subtle" onClick={() => setBulk(rowsToText(rows))}>
            Edit as text
          </Button>
        </Group>
      )}
    </Stack>
  );
}
