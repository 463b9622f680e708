/// The filters. Words are applied with Enter, since every search is an entry in the log itself; choices at once.
import { Button, CloseButton, Collapse, Group, Pill, Select, SimpleGrid, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconAdjustmentsHorizontal, IconSearch } from '@tabler/icons-react';
import { type FormEvent, type Ref, useEffect, useState } from 'react';
import { FILTERS, type FilterName, type Filters, LABELS, SPANS, describeFilter } from './filters';
import { inertText } from './inert';

const KINDS = ['request', 'login', 'token', 'service_account', 'policy', 'job', 'run', 'key', 'audit', 'refused'];
const OUTCOMES = [
  { value: 'done', label: 'done: answered' },
  { value: 'denied', label: 'denied: refused, nothing sent' },
  { value: 'unsent', label: 'not sent' },
  { value: 'unknown', label: 'unknown: may have been sent' },
  { value: 'abandoned', label: 'abandoned' },
];
const STATUSES = [
  { value: '2xx', label: '2xx: worked' },
  { value: '4xx', label: '4xx: refused' },
  { value: '5xx', label: '5xx: failed' },
];
/// Those that stand behind “More filters”, as text.
const MORE: FilterName[] = ['subject', 'actor', 'region', 'service', 'instance', 'method', 'path', 'run', 'status', 'from', 'to'];
const HINTS: Partial<Record<FilterName, string>> = {
  subject: 'alice, or service:reports-ui',
  actor: 'alice, or service:reports-ui',
  method: 'POST',
  path: '/companies/',
  status: '404, or 5xx',
  from: '2026-03-01T12:00:00Z',
  to: '2026-03-01T13:00:00Z',
};

interface Props {
  filters: Filters;
  onChange: (filters: Filters) => void;
  searchRef: Ref<HTMLInputElement>;
}

export function FilterBar({ filters, onChange, searchRef }: Props) {
  const [draft, setDraft] = useState(filters);
  const [opened, { toggle }] = useDisclosure(MORE.some((name) => filters[name] && name !== 'from' && name !== 'status'));
  const shape = JSON.stringify(filters);
  useEffect(() => setDraft(JSON.parse(shape) as Filters), [shape]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    onChange(draft);
  };
  const choose = (name: FilterName) => (value: string | null) => onChange({ ...draft, [name]: value ?? undefined });
  const span = SPANS.some(({ value }) => value === filters.from) ? (filters.from ?? null) : null;
  const status = STATUSES.some(({ value }) => value === filters.status) ? (filters.status ?? null) : null;
  const active = FILTERS.filter((name) => filters[name]);

  return (
    <form onSubmit={submit} role="search" aria-label="Audit log">
      <Group gap="xs" align="end" wrap="wrap">
        <TextInput
          ref={searchRef}
          flex="1 1 14rem"
          label="Search"
          placeholder="Path, reason or name"
          value={draft.q ?? ''}
          onChange={(event) => setDraft({ ...draft, q: event.currentTarget.value })}
          leftSection={<IconSearch size={16} aria-hidden />}
          rightSection={draft.q ? <CloseButton size="sm" aria-label="Clear the search" onClick={() => onChange({ ...draft, q: undefined })} /> : null}
        />
        <Select label="When" placeholder="Any time" clearable w={160} data={SPANS} value={span} onChange={choose('from')} />
        <Select label="What" placeholder="Everything" clearable w={150} data={KINDS.map((value) => ({ value, label: value.replaceAll('_', ' ') }))} value={filters.kind ?? null} onChange={choose('kind')} />
        <Select label="Outcome" placeholder="Any" clearable w={170} data={OUTCOMES} value={filters.outcome ?? null} onChange={choose('outcome')} />
        <Select label="Status" placeholder="Any" clearable w={140} data={STATUSES} value={status} onChange={choose('status')} />
        <Button type="submit" variant="light">
          Search
        </Button>
        <Button variant="subtle" color="gray" onClick={toggle} aria-expanded={opened} leftSection={<IconAdjustmentsHorizontal size={16} aria-hidden />}>
          {opened ? 'Fewer filters' : 'More filters'}
        </Button>
      </Group>
      <Collapse expanded={opened}>
        <SimpleGrid cols={{ base: 2, sm: 4, lg: 6 }} spacing="xs" mt="xs">
          {MORE.map((name) => (
            <TextInput
              key={name}
              size="xs"
              label={LABELS[name]}
              placeholder={HINTS[name]}
              value={draft[name] ?? ''}
              onChange={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })}
            />
          ))}
        </SimpleGrid>
        {/* Enter in any field searches. */}
        <button type="submit" hidden tabIndex={-1} aria-hidden />
      </Collapse>
      {active.length > 0 && (
        <Group gap={6} mt="xs">
          <Pill.Group>
            {active.map((name) => (
              <Pill
                key={name}
                withRemoveButton
                onRemove={() => onChange({ ...filters, [name]: undefined })}
                removeButtonProps={{ 'aria-label': `Remove ${LABELS[name]}`, tabIndex: 0, 'aria-hidden': false }}
              >
                {inertText(describeFilter(name, filters[name] ?? ''))}
              </Pill>
            ))}
          </Pill.Group>
          <Button size="compact-xs" variant="subtle" onClick={() => onChange({})}>
            Clear all
          </Button>
        </Group>
      )}
    </form>
  );
}
