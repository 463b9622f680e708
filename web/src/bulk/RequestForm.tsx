/// The request that is sent for each row, with columns in it, and what it looks like for one of them.
import { ActionIcon, Button, Code, Group, MultiSelect, Paper, SegmentedControl, Select, SimpleGrid, Stack, Text, TextInput, Textarea } from '@mantine/core';
import { IconArrowLeft, IconArrowRight, IconPlus, IconTrash } from '@tabler/icons-react';
import { type FocusEvent, useRef, useState } from 'react';
import { Inert } from '../audit/Inert';
import { HealthOption, healthOf, useInstances, useRegions, useServices } from '../components/Catalog';
import { freshKey } from './plan';
import type { ParsedRows } from './rows';
import { sampleRow, usedNames } from './draft';
import { type Pair, type RequestTemplate, renderRequest } from './template';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'];

interface Props {
  template: RequestTemplate;
  rows: ParsedRows;
  errors: Partial<Record<string, string>>;
  /// Errors show once somebody tried to go on.
  showErrors: boolean;
  onChange: (change: Partial<RequestTemplate>) => void;
}

export function RequestForm({ template, rows, errors, showErrors, onChange }: Props) {
  const columns = usedNames(rows);
  const last = useRef<HTMLInputElement | HTMLTextAreaElement | null>(null);
  const path = useRef<HTMLInputElement>(null);
  const error = (field: string) => (showErrors || errors[field]?.startsWith('There is no column') ? errors[field] : undefined);

  const remember = (event: FocusEvent) => {
    const field = event.target;
    if ((field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) && field.dataset.template !== undefined) last.current = field;
  };
  const insert = (column: string) => {
    const field = last.current?.isConnected ? last.current : path.current;
    if (!field) return;
    const [from, to] = [field.selectionStart ?? field.value.length, field.selectionEnd ?? field.value.length];
    field.setRangeText(`{{${column}}}`, from, to, 'end');
    field.dispatchEvent(new Event('input', { bubbles: true }));
    field.focus();
  };

  return (
    <Stack gap="md" onFocus={remember}>
      <Target template={template} columns={columns} error={error} onChange={onChange} />
      <Group align="start" gap="xs" wrap="nowrap">
        <Select label="Method" data={METHODS} allowDeselect={false} w={120} value={template.method} onChange={(method) => onChange({ method: method ?? 'GET' })} />
        <TextInput
          ref={path}
          label="Path"
          required
          flex={1}
          className="mono"
          data-template
          placeholder={columns[0] ? `/companies/{{${columns[0]}}}/migrate` : '/companies/…'}
          value={template.path}
          error={error('path')}
          onChange={(event) => onChange({ path: event.currentTarget.value })}
        />
      </Group>
      <Group gap={6}>
        <Text size="sm" c="dimmed">
          {columns.length > 0 ? 'Put a column in where the cursor was:' : 'Without rows, one request is sent.'}
        </Text>
        {columns.map((column) => (
          <Button key={column} size="compact-xs" variant="light" ff="monospace" tt="none" onMouseDown={(event) => event.preventDefault()} onClick={() => insert(column)}>
            {`{{${column}}}`}
          </Button>
        ))}
      </Group>
      <Pairs label="Query" pairs={template.query} field="query" error={error} onChange={(query) => onChange({ query })} />
      <Pairs label="Headers" pairs={template.headers} field="headers" error={error} onChange={(headers) => onChange({ headers })} />
      <Stack gap={4}>
        <Group gap="sm">
          <Text size="sm" fw={500} id="body-kind">
            Body
          </Text>
          <SegmentedControl
            size="xs"
            aria-labelledby="body-kind"
            data={[
              { value: 'none', label: 'None' },
              { value: 'json', label: 'JSON' },
              { value: 'text', label: 'Text' },
            ]}
            value={template.bodyKind}
            onChange={(kind) => onChange({ bodyKind: kind as RequestTemplate['bodyKind'] })}
          />
        </Group>
        {template.bodyKind !== 'none' && (
          <Textarea
            aria-label="Body"
            data-template
            autosize
            minRows={3}
            maxRows={14}
            spellCheck={false}
            className="mono"
            placeholder={template.bodyKind === 'json' ? '{"to": "v2"}' : ''}
            value={template.body}
            error={error('body')}
            onChange={(event) => onChange({ body: event.currentTarget.value })}
          />
        )}
      </Stack>
      <Sample template={template} rows={rows} />
    </Stack>
  );
}

interface TargetProps {
  template: RequestTemplate;
  columns: string[];
  error: (field: string) => string | undefined;
  onChange: (change: Partial<RequestTemplate>) => void;
}

function Target({ template, columns, error, onChange }: TargetProps) {
  const { regions: chosen, service } = template;
  // The catalog of the first region stands for all of them.
  const region = chosen[0]?.includes('{{') ? '' : (chosen[0] ?? '');
  const regions = useRegions();
  const services = useServices(region);
  const instances = useInstances(region, service);
  const columnItems = columns.map((column) => ({ value: `{{${column}}}`, label: `as column ${column} says` }));
  const known = <T extends { value: string; label: string }>(items: T[], present: string[]) => [
    ...items,
    ...present.filter((value) => value !== '' && !items.some((item) => item.value === value)).map((value) => ({ value, label: value })),
  ];
  const setRegions = (values: string[]) => {
    // A column stands alone: it says the one region of each row.
    const last = values.at(-1);
    onChange({ regions: last?.includes('{{') ? [last] : values.filter((value) => !value.includes('{{')) });
  };
  return (
    <SimpleGrid cols={{ base: 1, sm: 3 }}>
      <MultiSelect
        label="Region"
        description={chosen.length > 1 ? 'One region after the other, in this order' : undefined}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        required
        searchable
        hidePickedOptions
        placeholder={chosen.length > 0 ? '' : regions.data?.items.length === 0 ? 'None that you may reach' : 'Choose one or more'}
        data={known([...healthOf.regions(regions.data), ...columnItems], chosen)}
        renderOption={HealthOption}
        value={chosen}
        error={error('region')}
        onChange={setRegions}
      />
      <Select
        label="Service"
        required
        searchable
        placeholder={chosen.length > 0 ? 'Choose' : 'Choose a region first'}
        data={known(healthOf.services(services.data), [service])}
        renderOption={HealthOption}
        value={service || null}
        error={error('service')}
        onChange={(service) => onChange({ service: service ?? '', instance: 'any' })}
      />
      <Select
        label="Instance"
        searchable
        allowDeselect={false}
        data={known([{ value: 'any', label: 'any: a healthy one' }, { value: 'all', label: 'all: each of them' }, ...healthOf.instances(instances.data), ...columnItems], [template.instance])}
        renderOption={HealthOption}
        value={template.instance}
        onChange={(instance) => onChange({ instance: instance ?? 'any' })}
      />
    </SimpleGrid>
  );
}

interface PairsProps {
  label: string;
  field: string;
  pairs: Pair[];
  error: (field: string) => string | undefined;
  onChange: (pairs: Pair[]) => void;
}

function Pairs({ label, field, pairs, error, onChange }: PairsProps) {
  const change = (key: number, change: Partial<Pair>) => onChange(pairs.map((pair) => (pair.key === key ? { ...pair, ...change } : pair)));
  return (
    <Stack gap={4}>
      <Group gap="sm">
        <Text size="sm" fw={500}>
          {label}
        </Text>
        <Button size="compact-xs" variant="subtle" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => onChange([...pairs, { key: freshKey(), name: '', value: '' }])}>
          Add {label === 'Query' ? 'a parameter' : 'a header'}
        </Button>
      </Group>
      {pairs.map((pair, index) => (
        <Group key={pair.key} gap="xs" wrap="nowrap" align="start">
          <TextInput aria-label={`${label} name`} placeholder="name" size="xs" w={200} value={pair.name} onChange={(event) => change(pair.key, { name: event.currentTarget.value })} />
          <TextInput aria-label={`${label} value`} placeholder="value" size="xs" flex={1} className="mono" data-template value={pair.value} error={error(`${field}.${index}`)} onChange={(event) => change(pair.key, { value: event.currentTarget.value })} />
          <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${pair.name || label}`} onClick={() => onChange(pairs.filter((other) => other !== pair))}>
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
    </Stack>
  );
}

/// The request as one row would send it.
function Sample({ template, rows }: { template: RequestTemplate; rows: ParsedRows }) {
  const [at, setAt] = useState(0);
  const count = Math.max(1, rows.rows.length);
  const index = Math.min(at, count - 1);
  const rendered = renderRequest(template, sampleRow(rows, index));
  return (
    <Paper withBorder p="sm" component="section" aria-label="Preview">
      <Group justify="space-between" mb={6}>
        <Text size="sm" fw={500}>
          {rows.rows.length > 0 ? `Row ${index + 1} of ${rows.rows.length.toLocaleString()} sends` : 'This is sent'}
        </Text>
        {count > 1 && (
          <Group gap={4}>
            <ActionIcon variant="default" size="sm" aria-label="Previous row" disabled={index === 0} onClick={() => setAt(index - 1)}>
              <IconArrowLeft size={14} />
            </ActionIcon>
            <ActionIcon variant="default" size="sm" aria-label="Next row" disabled={index === count - 1} onClick={() => setAt(index + 1)}>
              <IconArrowRight size={14} />
            </ActionIcon>
          </Group>
        )}
      </Group>
      <Code block className="sample" tabIndex={0} aria-label="Rendered request">
        <b>{rendered.method}</b> <Inert>{rendered.url}</Inert>
        {rendered.headers.map(([name, value]) => (
          <div key={name}>
            <Inert>{`${name}: ${value}`}</Inert>
          </div>
        ))}
        {rendered.body !== undefined && rendered.body !== '' && (
          <div style={{ marginTop: 6 }}>
            <Inert>{rendered.body}</Inert>
          </div>
        )}
      </Code>
    </Paper>
  );
}
