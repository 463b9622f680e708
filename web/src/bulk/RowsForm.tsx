/// Rows: pasted or dropped, looked at, their columns named.
import { Alert, Box, Button, Checkbox, FileButton, Group, List, Select, Stack, Table, Text, TextInput, Textarea } from '@mantine/core';
import { IconAlertTriangle, IconFileUpload } from '@tabler/icons-react';
import { type DragEvent, useState } from 'react';
import { Inert } from '../audit/Inert';
import { formatBytes } from '../components/bytes';
import { type Draft, isTooLarge, usedNames } from './draft';
import { type Column, type Duplicates, JSON_LINES, type ParsedRows, columnError } from './rows';

const SHOWN_ROWS = 6;
const SHOWN_PROBLEMS = 8;

interface Props {
  draft: Draft;
  rows: ParsedRows;
  onChange: (change: Partial<Draft>) => void;
}

export function RowsForm({ draft, rows, onChange }: Props) {
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);

  async function take(file: File | null) {
    if (file === null) return;
    if (isTooLarge(file.size)) {
      setRefused(`${file.name} has ${formatBytes(file.size)}, too much to look at here. Save a job without rows, then upload the file there.`);
      return;
    }
    setRefused(null);
    onChange({ text: await file.text(), fileName: file.name, header: undefined, renamed: {} });
  }

  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files[0] ?? null);
  }

  return (
    <Stack gap="md">
      <Box
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
        className="drop"
        data-over={over || undefined}
      >
        <Textarea
          label="Rows"
          description="One id a line, a CSV with a header (commas, semicolons or tabs, as a spreadsheet saves it), or JSON lines. Or drop a file here."
          placeholder={'1\n2\n3'}
          autosize
          minRows={6}
          maxRows={12}
          spellCheck={false}
          className="mono"
          value={draft.text}
          onChange={(event) => onChange({ text: event.currentTarget.value, fileName: null })}
        />
        <Group gap="xs" mt="xs">
          <FileButton onChange={(file) => void take(file)} accept=".csv,.txt,.tsv,.jsonl,.ndjson,text/csv,text/plain">
            {(props) => (
              <Button {...props} size="xs" variant="default" leftSection={<IconFileUpload size={14} aria-hidden />}>
                Choose a file…
              </Button>
            )}
          </FileButton>
          {draft.fileName && <Text size="sm">{draft.fileName}</Text>}
          <Text size="sm" c="dimmed" role="status">
            {draft.text.trim() !== '' && summaryOf(rows)}
          </Text>
        </Group>
      </Box>
      {refused && <Alert color="yellow">{refused}</Alert>}
      {draft.text.trim() !== '' && rows.columns.length > 0 && (
        <>
          <Group gap="lg" align="end">
            <Checkbox
              mb={8}
              label="The first line names the columns"
              checked={rows.hasHeader}
              disabled={rows.delimiter === JSON_LINES}
              onChange={(event) => onChange({ header: event.currentTarget.checked, renamed: {} })}
            />
            <Select
              size="xs"
              w={200}
              label="Repeated rows"
              data={REPEATED}
              allowDeselect={false}
              value={draft.duplicates}
              onChange={(duplicates) => onChange({ duplicates: duplicates as Duplicates })}
            />
            {rows.columns.length > 1 && draft.duplicates !== 'allow' && (
              <Select
                size="xs"
                w={200}
                label="Compared by"
                data={[{ value: '', label: 'all columns' }, ...usedNames(rows).map((name) => ({ value: name, label: name }))]}
                allowDeselect={false}
                value={draft.key}
                onChange={(key) => onChange({ key: key ?? '' })}
              />
            )}
          </Group>
          <Problems rows={rows} />
          <Columns rows={rows} onRename={(index, change) => onChange({ renamed: { ...draft.renamed, [index]: { ...draft.renamed[index], ...change } } })} />
        </>
      )}
    </Stack>
  );
}

function summaryOf(rows: ParsedRows): string {
  const columns = rows.columns.length === 1 ? '1 column' : `${rows.columns.length} columns`;
  const separator: Record<string, string> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars' };
  const by = rows.columns.length > 1 ? ` (${separator[rows.delimiter] ?? rows.delimiter})` : '';
  return `${rows.rows.length.toLocaleString()} ${rows.rows.length === 1 ? 'row' : 'rows'}, ${columns}${by}`;
}

const REPEATED: { value: Duplicates; label: string }[] = [
  { value: 'skip', label: 'are left out' },
  { value: 'allow', label: 'are sent, too' },
  { value: 'refuse', label: 'are a mistake' },
];

function Problems({ rows }: { rows: ParsedRows }) {
  const { problems } = rows;
  if (problems.length === 0) return null;
  const fatal = problems.some((problem) => problem.fatal);
  return (
    <Alert
      color={fatal ? 'red' : 'yellow'}
      icon={<IconAlertTriangle aria-hidden />}
      title={fatal ? 'Some lines cannot be sent as they are' : rows.repeated === 1 ? 'A row repeats an earlier one and is left out' : `${rows.repeated.toLocaleString()} rows repeat earlier ones and are left out`}
    >
      <List size="sm">
        {problems.slice(0, SHOWN_PROBLEMS).map((problem) => (
          <List.Item key={`${problem.line}${problem.text}`}>
            Line {problem.line} {problem.text}
          </List.Item>
        ))}
      </List>
      {problems.length > SHOWN_PROBLEMS && <Text size="sm">and {problems.length - SHOWN_PROBLEMS} more</Text>}
    </Alert>
  );
}

function Columns({ rows, onRename }: { rows: ParsedRows; onRename: (index: number, change: Partial<Pick<Column, 'name' | 'used'>>) => void }) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table withTableBorder withColumnBorders fz="sm" verticalSpacing={4}>
        <Table.Caption>
          {rows.rows.length > SHOWN_ROWS ? `The first ${SHOWN_ROWS} of ${rows.rows.length.toLocaleString()} rows. ` : ''}
          In the request, a column’s value stands where its name does in double braces.
        </Table.Caption>
        <Table.Thead>
          <Table.Tr>
            {rows.columns.map((column, index) => (
              <Table.Th key={index} miw={140} style={{ verticalAlign: 'top' }}>
                <TextInput
                  size="xs"
                  label={column.header && column.header !== column.name ? `“${column.header}” is called` : 'Column is called'}
                  value={column.name}
                  error={columnError(rows.columns, index)}
                  disabled={!column.used}
                  leftSection={<span aria-hidden>{'{{'}</span>}
                  rightSection={<span aria-hidden>{'}}'}</span>}
                  className="mono"
                  onChange={(event) => onRename(index, { name: event.currentTarget.value })}
                />
                {rows.columns.length > 1 && (
                  <Checkbox size="xs" mt={4} label="use it" aria-label={`Use column ${column.name}`} checked={column.used} onChange={(event) => onRename(index, { used: event.currentTarget.checked })} />
                )}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.rows.slice(0, SHOWN_ROWS).map((row, index) => (
            <Table.Tr key={index}>
              {row.map((value, at) => (
                <Table.Td key={at} c={rows.columns[at]?.used ? undefined : 'dimmed'} maw={260} style={{ overflow: 'hidden', textOverflow: 'ellipsis' }}>
                  <Inert>{value}</Inert>
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
