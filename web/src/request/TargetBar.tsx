/// Where the request goes, why and how: region, service, instance, reason, method, path, Send.
import { Autocomplete, Button, Group, Kbd, Select, Text, TextInput, Tooltip } from '@mantine/core';
import { IconPlayerStop, IconSend } from '@tabler/icons-react';
import { type ClipboardEvent, type Ref, useMemo } from 'react';
import { asProblem } from '../client/problem';
import { HealthIcon, type HealthItem, HealthOption, healthOf, useInstances, useRegions, useServices } from '../components/Catalog';
import { addressOf } from './compose';
import { type Draft, METHODS, row } from './draft';
import { isCurl } from './curl';

interface Props {
  draft: Draft;
  values: Map<string, string>;
  onChange: (part: Partial<Draft>) => void;
  onSend: () => void;
  onCancel: () => void;
  onCurl: (command: string) => void;
  sending: boolean;
  isSocket: boolean;
  /// Policy has asked for a reason.
  wantsReason: boolean;
  reason: Ref<HTMLInputElement>;
}

export function TargetBar({ draft, values, onChange, onSend, onCancel, onCurl, sending, isSocket, wantsReason, reason }: Props) {
  const regions = useRegions();
  const services = useServices(draft.region);
  const instances = useInstances(draft.region, draft.service);
  const regionItems = withChosen(healthOf.regions(regions.data), draft.region);
  const serviceItems = withChosen(healthOf.services(services.data), draft.service);
  const instanceItems = withChosen(
    [{ value: 'any', label: 'any healthy one' }, { value: 'all', label: 'all, side by side' }, ...healthOf.instances(instances.data)],
    draft.instance,
  );

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
          w={112}
          searchable
          placeholder="Choose"
          data={regionItems}
          renderOption={HealthOption}
          leftSection={iconOf(regionItems, draft.region)}
          value={draft.region || null}
          onChange={(region) => onChange({ region: region ?? '' })}
          nothingFoundMessage={regions.isPending ? 'Loading…' : 'No region that you may reach'}
        />
        <Select
          label="Service"
          w={160}
          searchable
          placeholder={draft.region === '' ? 'Region first' : 'Choose'}
          data={serviceItems}
          renderOption={HealthOption}
          comboboxProps={{ width: 260, position: 'bottom-start' }}
          leftSection={iconOf(serviceItems, draft.service)}
          value={draft.service || null}
          onChange={(service) => onChange({ service: service ?? '', instance: 'any' })}
          disabled={draft.region === ''}
          nothingFoundMessage={services.isPending ? 'Loading…' : 'No service that you may reach'}
        />
        <Select
          label="Instance"
          w={172}
          searchable
          data={instanceItems}
          renderOption={HealthOption}
          comboboxProps={{ width: 260, position: 'bottom-start' }}
          leftSection={iconOf(instanceItems, draft.instance)}
          value={draft.instance}
          onChange={(instance) => onChange({ instance: instance ?? 'any' })}
          disabled={draft.service === ''}
        />
        <TextInput
          ref={reason}
          label="Reason"
          flex="1 1 128px"
          placeholder="For the audit log; some policies ask for it"
          value={draft.reason}
          error={wantsReason && draft.reason === '' ? 'Policy asks for a reason here' : undefined}
          onChange={(event) => onChange({ reason: event.currentTarget.value })}
        />
      </Group>
      <Group gap={6} wrap="nowrap" align="flex-end" mt={6}>
        <Autocomplete
          aria-label="Method"
          w={112}
          className="method-field"
          data={METHODS}
          value={draft.method}
          onChange={(method) => onChange({ method: method.toUpperCase().trim() })}
          // What is chosen is no filter: all methods are offered.
          filter={({ options }) => options}
          selectFirstOptionOnChange={false}
        />
        <TextInput
          aria-label="Path"
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
          <Button variant="default" leftSection={<IconPlayerStop size={16} aria-hidden />} onClick={onCancel} w={132}>
            {isSocket ? 'Disconnect' : 'Cancel'}
          </Button>
        ) : (
          <Tooltip label={<Kbd size="xs">Ctrl+Enter</Kbd>} openDelay={400} position="bottom">
            <Button leftSection={<IconSend size={16} aria-hidden />} onClick={onSend} w={132}>
              {isSocket ? 'Connect' : 'Send'}
            </Button>
          </Tooltip>
        )}
      </Group>
      <Address draft={draft} values={values} />
      {problem !== null && (
        <Text size="xs" mt={4} role="alert" className="catalog-problem">
          {asProblem(problem).detail} {asProblem(problem).hint}
        </Text>
      )}
    </div>
  );
}

/// The address as it will be sent, with query and variables, once there is one.
function Address({ draft, values }: Pick<Props, 'draft' | 'values'>) {
  const { url, missing } = useMemo(() => addressOf(draft, values), [draft, values]);
  if (draft.region === '' || draft.service === '') {
    return null;
  }
  return (
    <Text size="xs" c="dimmed" mt={4} truncate className="address" title={url}>
      {missing.length > 0 ? `No value yet for ${missing.map((name) => `{{${name}}}`).join(', ')}: choose an environment, or define it.` : url}
    </Text>
  );
}

/// What is chosen is offered, even if the catalog does not know it (any more).
function withChosen(items: HealthItem[], chosen: string): HealthItem[] {
  return chosen !== '' && !items.some(({ value }) => value === chosen) ? [...items, { value: chosen, label: chosen, level: 'unknown', says: 'not in the catalog' }] : items;
}

function iconOf(items: HealthItem[], chosen: string) {
  const level = items.find(({ value }) => value === chosen)?.level;
  return level && <HealthIcon level={level} />;
}
