/// Where the request goes and how: region, service, instance, method, path, Send.
import { Autocomplete, Button, Group, Kbd, Select, Text, TextInput, Tooltip } from '@mantine/core';
import { IconPlayerStop, IconSend } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ClipboardEvent } from 'react';
import { api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { type Draft, METHODS, row } from './draft';
import { isCurl } from './curl';

interface Props {
  draft: Draft;
  onChange: (part: Partial<Draft>) => void;
  onSend: () => void;
  onCancel: () => void;
  onCurl: (command: string) => void;
  sending: boolean;
  isSocket: boolean;
}

const DOTS: Record<string, string> = { healthy: '●', unhealthy: '○', unknown: '◌' };

export function TargetBar({ draft, onChange, onSend, onCancel, onCurl, sending, isSocket }: Props) {
  const regions = useQuery({
    queryKey: ['regions'],
    queryFn: () => call(api.GET('/api/v1/regions')),
    refetchInterval: 15_000,
  });
  const services = useQuery({
    queryKey: ['services', draft.region],
    enabled: draft.region !== '',
    queryFn: () => call(api.GET('/api/v1/regions/{region}/services', { params: { path: { region: draft.region } } })),
    refetchInterval: 15_000,
  });
  const instances = useQuery({
    queryKey: ['instances', draft.region, draft.service],
    enabled: draft.region !== '' && draft.service !== '',
    queryFn: () =>
      call(
        api.GET('/api/v1/regions/{region}/services/{service}/instances', {
          params: { path: { region: draft.region, service: draft.service } },
        }),
      ),
    refetchInterval: 15_000,
  });
  const regionData = (regions.data?.items ?? []).map(({ name, health }) => ({ value: name, label: `${DOTS[health] ?? ''} ${name}`, health }));
  const serviceData = (services.data?.items ?? []).map(({ name, healthy, instances }) => ({
    value: name,
    label: `${healthy === 0 ? DOTS.unhealthy : DOTS.healthy} ${name}  ${healthy}/${instances}`,
  }));
  const instanceData = [
    { value: 'any', label: 'any healthy one' },
    { value: 'all', label: 'all, side by side' },
    ...(instances.data?.items ?? []).map(({ id, health }) => ({ value: id, label: `${DOTS[health] ?? ''} ${id}` })),
  ];
  const known = (data: { value: string; label: string }[], value: string) =>
    value !== '' && !data.some((item) => item.value === value) ? [...data, { value, label: value }] : data;

  function paste(event: ClipboardEvent) {
    const text = event.clipboardData.getData('text/plain');
    if (isCurl(text)) {
      event.preventDefault();
      onCurl(text);
    }
  }
  function setPath(text: string) {
    // A query typed or pasted into the path becomes lines of the table.
    const at = text.indexOf('?');
    if (at < 0) {
      onChange({ path: text });
      return;
    }
    const pairs = [...new URLSearchParams(text.slice(at + 1))].map(([name, value]) => row(name, value));
    onChange(pairs.length > 0 && pairs.every(({ value }) => value !== '') ? { path: text.slice(0, at), query: [...draft.query, ...pairs] } : { path: text });
  }
  const problem = regions.error ?? services.error ?? instances.error;
  return (
    <div className="target-bar">
      <Group gap={6} align="flex-end">
        <Select
          label="Region"
          size="sm"
          w={120}
          searchable
          placeholder="Region"
          data={known(regionData, draft.region)}
          value={draft.region || null}
          onChange={(region) => onChange({ region: region ?? '' })}
          nothingFoundMessage={regions.isPending ? 'Loading…' : 'No region that you may reach'}
        />
        <Select
          label="Service"
          size="sm"
          w={210}
          searchable
          placeholder="Service"
          data={known(serviceData, draft.service)}
          value={draft.service || null}
          onChange={(service) => onChange({ service: service ?? '', instance: 'any' })}
          disabled={draft.region === ''}
          nothingFoundMessage={services.isPending ? 'Loading…' : 'No service that you may reach'}
        />
        <Select
          label="Instance"
          size="sm"
          w={170}
          searchable
          data={known(instanceData, draft.instance)}
          value={draft.instance}
          onChange={(instance) => onChange({ instance: instance ?? 'any' })}
          disabled={draft.service === ''}
        />
        <Group gap={6} wrap="nowrap" align="flex-end" className="address">
        <Autocomplete
          label="Method"
          size="sm"
          w={110}
          data={METHODS}
          value={draft.method}
          onChange={(method) => onChange({ method: method.toUpperCase().trim() })}
          // What is chosen is no filter: all methods are offered.
          filter={({ options }) => options}
          selectFirstOptionOnChange={false}
        />
        <TextInput
          label="Path"
          size="sm"
          flex={1}
          className="mono"
          placeholder="/path, or paste a curl command"
          value={draft.path}
          onChange={(event) => setPath(event.currentTarget.value)}
          onPaste={paste}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) {
              onSend();
            }
          }}
          spellCheck={false}
          autoComplete="off"
        />
        {sending ? (
          <Button size="sm" color="gray" leftSection={<IconPlayerStop size={16} aria-hidden />} onClick={onCancel} w={116}>
            Cancel
          </Button>
        ) : (
          <Tooltip label={<Kbd size="xs">Ctrl+Enter</Kbd>}>
            <Button size="sm" leftSection={<IconSend size={16} aria-hidden />} onClick={onSend} w={116}>
              {isSocket ? 'Connect' : 'Send'}
            </Button>
          </Tooltip>
        )}
        </Group>
      </Group>
      {problem !== null && (
        <Text size="xs" c="red.9" mt={4} role="alert" className="catalog-problem">
          {asProblem(problem).detail} {asProblem(problem).hint}
        </Text>
      )}
    </div>
  );
}
