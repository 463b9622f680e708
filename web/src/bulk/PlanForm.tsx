/// The plan: waves and gates, pace, when to stop.
import { Accordion, ActionIcon, Alert, Button, Card, Checkbox, Collapse, Group, NumberInput, SegmentedControl, Select, SimpleGrid, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { NOTHING_SAID, PRESETS, type Plan, type Wave, freshKey, isPreset, waveSizes } from './plan';

const GATES = [
  { value: 'auto', label: 'opens by itself' },
  { value: 'manual', label: 'a person opens it' },
  { value: 'approval', label: 'somebody else approves it' },
];

interface Props {
  plan: Plan;
  rows: number;
  /// Where the run goes. With several, each may differ.
  regions: string[];
  errors: Partial<Record<string, string>>;
  onChange: (change: Partial<Plan>) => void;
}

export function PlanForm({ plan, rows, regions, errors, onChange }: Props) {
  // What somebody has set there is not hidden.
  const [opened, { toggle }] = useDisclosure(plan.stopRate !== '' || plan.retries !== '' || plan.idempotent || plan.successBody.length > 0);
  const number = (field: keyof Plan) => (value: string | number) => onChange({ [field]: value === '' ? '' : Number(value) });
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, sm: 3 }} role="group" aria-label="Begin with">
        {PRESETS.map((preset) => (
          <UnstyledButton key={preset.id} onClick={() => onChange(preset.plan())} aria-pressed={isPreset(plan, preset)}>
            <Card withBorder p="sm" h="100%" className="preset">
              <Text size="sm" fw={600}>
                {preset.label}
              </Text>
              <Text size="sm" c="dimmed">
                {preset.text}
              </Text>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
      <Waves plan={plan} rows={rows} errors={errors} onChange={(waves) => onChange({ waves })} />
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }}>
        <NumberInput label="Concurrency" description="Requests in flight at once" min={1} max={1000} value={plan.concurrency} onChange={number('concurrency')} />
        <NumberInput label="Pace" description="Requests a second, at most" min={0.1} value={plan.ratePerSecond} onChange={number('ratePerSecond')} placeholder="as fast as they go" />
        <NumberInput label="Stop at" description="Failures in the whole run" min={1} value={plan.stopFailures} onChange={number('stopFailures')} placeholder="never" />
        <TextInput label="Success" description="Status of a good answer" value={plan.successStatus} error={errors.successStatus} placeholder="2xx" onChange={(event) => onChange({ successStatus: event.currentTarget.value })} />
      </SimpleGrid>
      <div>
        <Button size="compact-sm" variant="subtle" onClick={toggle} aria-expanded={opened}>
          {opened ? 'Less' : 'More: timeout, failure rate, body of a good answer, trying again'}
        </Button>
        <Collapse expanded={opened}>
          <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} mt="xs">
            <TextInput label="Timeout" description="For one request" placeholder="30s" value={plan.timeout} error={errors.timeout} onChange={(event) => onChange({ timeout: event.currentTarget.value })} />
            <NumberInput label="Stop at a rate of" description="Failures, in percent" min={0} max={100} suffix=" %" value={plan.stopRate} onChange={number('stopRate')} placeholder="never" />
            <NumberInput label="among the last" description="Requests" min={1} value={plan.stopWindow} error={errors.stopWindow} onChange={number('stopWindow')} placeholder="100" />
          </SimpleGrid>
          <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} mt="xs">
            <NumberInput label="Try again" description="Times, where that is safe" min={0} max={20} value={plan.retries} onChange={number('retries')} placeholder="never" />
            <TextInput label="Wait before it" description="Doubled each time" placeholder="1s" disabled={plan.retries === ''} value={plan.backoff} error={errors.backoff} onChange={(event) => onChange({ backoff: event.currentTarget.value })} />
            <TextInput label="Wait at most" description="However often" placeholder="1m" disabled={plan.retries === ''} value={plan.maxBackoff} error={errors.maxBackoff} onChange={(event) => onChange({ maxBackoff: event.currentTarget.value })} />
          </SimpleGrid>
          <Checkbox
            mt="sm"
            checked={plan.idempotent}
            label="Sending a row twice does no harm (idempotent)"
            description="Only then is a row sent again of which nobody knows whether it arrived. Otherwise it is listed as unknown, for you to decide."
            onChange={(event) => onChange({ idempotent: event.currentTarget.checked })}
          />
          <BodyRules plan={plan} errors={errors} onChange={onChange} />
        </Collapse>
      </div>
      {(regions.length > 1 || Object.keys(plan.regions).length > 0) && <Regions plan={plan} rows={rows} regions={regions} errors={errors} onChange={onChange} />}
    </Stack>
  );
}

/// What must stand in a good answer's body, beside its status.
function BodyRules({ plan, errors, onChange }: Pick<Props, 'plan' | 'errors' | 'onChange'>) {
  const rules = plan.successBody;
  const change = (key: number, part: { pointer?: string; value?: string }) =>
    onChange({ successBody: rules.map((rule) => (rule.key === key ? { ...rule, ...part } : rule)) });
  return (
    <Stack gap={4} mt="sm" component="section" aria-label="Body of a good answer">
      <Group gap="sm">
        <Text size="sm" fw={500}>
          Body of a good answer
        </Text>
        <Button size="compact-xs" variant="subtle" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => onChange({ successBody: [...rules, { key: freshKey(), pointer: '', value: '' }] })}>
          Add a rule
        </Button>
      </Group>
      {rules.map((rule, index) => (
        <Group key={rule.key} gap="xs" wrap="nowrap" align="start">
          <TextInput aria-label="JSON pointer" placeholder="/status" size="xs" w={200} className="mono" value={rule.pointer} error={errors[`successBody.${index}`]} onChange={(event) => change(rule.key, { pointer: event.currentTarget.value })} />
          <TextInput aria-label="Value" placeholder={'migrated, or {"gte": 1}'} size="xs" flex={1} className="mono" value={rule.value} onChange={(event) => change(rule.key, { value: event.currentTarget.value })} />
          <ActionIcon variant="subtle" color="gray" aria-label={`Remove the rule for ${rule.pointer || 'nothing'}`} onClick={() => onChange({ successBody: rules.filter((other) => other !== rule) })}>
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
    </Stack>
  );
}

/// What is different in single regions of a run that goes to several.
function Regions({ plan, rows, regions, errors, onChange }: Props) {
  const names = [...new Set([...regions, ...Object.keys(plan.regions)])];
  const set = (name: string, there: Plan | null) => {
    const { [name]: _, ...others } = plan.regions;
    onChange({ regions: there === null ? others : { ...others, [name]: there } });
  };
  return (
    <Accordion variant="contained" defaultValue={Object.keys(plan.regions)} multiple aria-label="Differences by region">
      {names.map((name) => {
        const there = plan.regions[name];
        const own = Object.fromEntries(Object.entries(errors).flatMap(([field, error]) => (field.startsWith(`${name}.`) ? [[field.slice(name.length + 1), error]] : [])));
        const number = (field: keyof Plan) => (value: string | number) => there && set(name, { ...there, [field]: value === '' ? '' : Number(value) });
        return (
          <Accordion.Item key={name} value={name}>
            <Accordion.Control>
              {name} <Text span size="sm" c="dimmed">{there === undefined ? 'as above' : 'differs'}</Text>
            </Accordion.Control>
            <Accordion.Panel>
              <Stack gap="sm">
                <Checkbox
                  label={`In ${name} something is different`}
                  checked={there !== undefined}
                  onChange={(event) => set(name, event.currentTarget.checked ? NOTHING_SAID : null)}
                />
                {there !== undefined && (
                  <>
                    <Waves plan={there} rows={rows} errors={own} onChange={(waves) => set(name, { ...there, waves })} />
                    <SimpleGrid cols={{ base: 1, xs: 3 }}>
                      <NumberInput label={`Concurrency in ${name}`} min={1} max={1000} placeholder="as above" value={there.concurrency} onChange={number('concurrency')} />
                      <NumberInput label={`Pace in ${name}`} min={0.1} placeholder="as above" value={there.ratePerSecond} onChange={number('ratePerSecond')} />
                      <NumberInput label={`Stop at, in ${name}`} min={1} placeholder="as above" value={there.stopFailures} onChange={number('stopFailures')} />
                    </SimpleGrid>
                  </>
                )}
              </Stack>
            </Accordion.Panel>
          </Accordion.Item>
        );
      })}
    </Accordion>
  );
}

function Waves({ plan, rows, errors, onChange }: { plan: Plan; rows: number; errors: Partial<Record<string, string>>; onChange: (waves: Wave[]) => void }) {
  const { waves } = plan;
  const sizes = waveSizes(waves, rows);
  const change = (key: number, change: Partial<Wave>) => onChange(waves.map((wave) => (wave.key === key ? { ...wave, ...change } : wave)));
  const add = () => onChange([...waves.slice(0, -1), { key: freshKey(), unit: 'percent', size: waves.length === 0 ? 100 : 50, gate: 'manual', bake: '' }, ...waves.slice(-1)]);
  return (
    <Stack gap="xs" component="section" aria-label="Waves">
      {rows > 0 && <WaveBar sizes={sizes} rows={rows} />}
      {waves.map((wave, index) => (
        <Group key={wave.key} gap="xs" align="start" wrap="wrap">
          <Text size="sm" fw={500} w={64} pt={6}>
            Wave {index + 1}
          </Text>
          <NumberInput
            aria-label={`Wave ${index + 1} size`}
            w={110}
            min={1}
            value={wave.size}
            error={errors[`waves.${index}.size`]}
            onChange={(size) => change(wave.key, { size: Number(size) })}
          />
          <SegmentedControl
            aria-label={`Wave ${index + 1} counts`}
            data={[
              { value: 'count', label: 'rows' },
              { value: 'percent', label: '% of all' },
            ]}
            value={wave.unit}
            onChange={(unit) => change(wave.key, { unit: unit as Wave['unit'] })}
          />
          {index < waves.length - 1 ? (
            <>
              <Text size="sm" pt={6}>
                then the gate
              </Text>
              <Select aria-label={`Gate after wave ${index + 1}`} w={220} data={GATES} allowDeselect={false} value={wave.gate} onChange={(gate) => change(wave.key, { gate: (gate ?? 'auto') as Wave['gate'] })} />
              {wave.gate === 'auto' && (
                <TextInput aria-label={`Wait after wave ${index + 1}`} w={110} placeholder="at once" leftSection={<Text size="xs">after</Text>} leftSectionWidth={44} value={wave.bake} error={errors[`waves.${index}.bake`]} onChange={(event) => change(wave.key, { bake: event.currentTarget.value })} />
              )}
            </>
          ) : null}
          {waves.length > 0 && (
            <ActionIcon variant="subtle" color="gray" mt={4} aria-label={`Remove wave ${index + 1}`} onClick={() => onChange(waves.filter((other) => other !== wave))}>
              <IconTrash size={16} />
            </ActionIcon>
          )}
          {rows > 0 && (
            <Text size="sm" c="dimmed" pt={6}>
              = {(sizes[index] ?? 0).toLocaleString()} {sizes[index] === 1 ? 'row' : 'rows'}
            </Text>
          )}
        </Group>
      ))}
      {errors.waves && <Alert color="red">{errors.waves}</Alert>}
      <div>
        <Button size="compact-sm" variant="subtle" leftSection={<IconPlus size={14} aria-hidden />} onClick={add}>
          Add a wave
        </Button>
      </div>
    </Stack>
  );
}

/// The waves side by side, as wide as they are large.
export function WaveBar({ sizes, rows, open }: { sizes: number[]; rows: number; open?: number }) {
  return (
    <div className="waves" role="img" aria-label={`Waves of ${sizes.map((size) => size.toLocaleString()).join(', ')} rows`}>
      {sizes.map((size, index) =>
        size > 0 ? (
          <div key={index} className="wave" data-open={open !== undefined && index <= open ? true : undefined} style={{ flexGrow: Math.max(size, rows / 25) }}>
            {size.toLocaleString()}
          </div>
        ) : null,
      )}
    </div>
  );
}
