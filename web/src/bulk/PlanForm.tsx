/// The plan: waves and gates, pace, when to stop.
import { ActionIcon, Alert, Button, Card, Checkbox, Collapse, Group, NumberInput, SegmentedControl, Select, SimpleGrid, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { PRESETS, type Plan, type Wave, freshKey, waveSizes } from './plan';

const GATES = [
  { value: 'auto', label: 'opens by itself' },
  { value: 'manual', label: 'a person opens it' },
  { value: 'approval', label: 'somebody else approves it' },
];

interface Props {
  plan: Plan;
  rows: number;
  errors: Partial<Record<string, string>>;
  onChange: (change: Partial<Plan>) => void;
}

export function PlanForm({ plan, rows, errors, onChange }: Props) {
  const [opened, { toggle }] = useDisclosure(false);
  const number = (field: keyof Plan) => (value: string | number) => onChange({ [field]: value === '' ? '' : Number(value) });
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, sm: 3 }} role="group" aria-label="Begin with">
        {PRESETS.map((preset) => (
          <UnstyledButton key={preset.id} onClick={() => onChange(preset.plan())}>
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
        <NumberInput label="At once" description="Requests in flight" min={1} max={1000} value={plan.concurrency} onChange={number('concurrency')} />
        <NumberInput label="A second" description="Requests at most" min={0.1} value={plan.ratePerSecond} onChange={number('ratePerSecond')} placeholder="as fast as they go" />
        <NumberInput label="Stop at" description="Failures in all" min={1} value={plan.stopFailures} onChange={number('stopFailures')} placeholder="never" />
        <TextInput label="Worked when" description="Status of the answer" value={plan.successStatus} error={errors.successStatus} placeholder="2xx" onChange={(event) => onChange({ successStatus: event.currentTarget.value })} />
      </SimpleGrid>
      <div>
        <Button size="compact-sm" variant="subtle" onClick={toggle} aria-expanded={opened}>
          {opened ? 'Less' : 'More: timeout, failure rate, trying again'}
        </Button>
        <Collapse expanded={opened}>
          <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} mt="xs">
            <TextInput label="Timeout" description="For one request" placeholder="30s" value={plan.timeout} error={errors.timeout} onChange={(event) => onChange({ timeout: event.currentTarget.value })} />
            <NumberInput label="Stop at a rate of" description="Failures, in percent" min={0} max={100} suffix=" %" value={plan.stopRate} onChange={number('stopRate')} placeholder="never" />
            <NumberInput label="among the last" description="Requests" min={1} value={plan.stopWindow} error={errors.stopWindow} onChange={number('stopWindow')} placeholder="100" />
            <NumberInput label="Try again" description="Times, where that is safe" min={0} max={20} value={plan.retries} onChange={number('retries')} placeholder="never" />
          </SimpleGrid>
          <Checkbox
            mt="sm"
            checked={plan.idempotent}
            label="Sending a row twice does no harm (idempotent)"
            description="Only then is a row sent again of which nobody knows whether it arrived. Otherwise it is listed as unknown, for you to decide."
            onChange={(event) => onChange({ idempotent: event.currentTarget.checked })}
          />
        </Collapse>
      </div>
    </Stack>
  );
}

function Waves({ plan, rows, errors, onChange }: { plan: Plan; rows: number; errors: Partial<Record<string, string>>; onChange: (waves: Wave[]) => void }) {
  const { waves } = plan;
  const sizes = waveSizes(waves, rows);
  const change = (key: number, change: Partial<Wave>) => onChange(waves.map((wave) => (wave.key === key ? { ...wave, ...change } : wave)));
  const add = () => onChange([...waves.slice(0, -1), { key: freshKey(), unit: 'percent', size: 50, gate: 'manual', bake: '' }, ...waves.slice(-1)]);
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
          {waves.length > 1 && (
            <ActionIcon variant="subtle" color="gray" mt={4} aria-label={`Remove wave ${index + 1}`} onClick={() => onChange(waves.filter((other) => other !== wave))}>
              <IconTrash size={16} />
            </ActionIcon>
          )}
          {rows > 0 && (
            <Text size="sm" c="dimmed" pt={6}>
              = {(sizes[index] ?? 0).toLocaleString()} rows
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
