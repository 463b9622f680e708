/// When a job runs by itself.
import { Button, Group, SegmentedControl, Select, SimpleGrid, Stack, Switch, Text, TextInput } from '@mantine/core';
import { Time } from '../components/Time';
import type { ScheduleSpec } from './wire';

const CRONS = [
  { value: '0 6 * * *', label: 'every day at 06:00' },
  { value: '0 6 * * 1-5', label: 'on weekdays at 06:00' },
  { value: '0 * * * *', label: 'every hour' },
  { value: '0 6 1 * *', label: 'on the first of the month at 06:00' },
];

export function ScheduleForm({ schedule, nextRunAt, onChange }: { schedule: ScheduleSpec | null; nextRunAt: string | null; onChange: (schedule: ScheduleSpec | null) => void }) {
  if (schedule === null) {
    return (
      <Stack gap="sm" align="start">
        <Text size="sm" c="dimmed" maw={560}>
          This job runs when somebody starts it. With a schedule it also runs by itself, as whoever saved the schedule last, and with that person’s rights at that time.
        </Text>
        <Button size="xs" variant="light" onClick={() => onChange({ cron: '0 6 * * 1-5', time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone, missed: 'skip', overlap: 'skip' })}>
          Add a schedule
        </Button>
      </Stack>
    );
  }
  const set = (change: Partial<ScheduleSpec>) => onChange({ ...schedule, ...change });
  const zones = ['UTC', ...Intl.supportedValuesOf('timeZone')];
  return (
    <Stack gap="sm" maw={720}>
      <Group gap="xs">
        {CRONS.map((known) => (
          <Button key={known.value} size="compact-xs" variant={known.value === schedule.cron ? 'filled' : 'light'} onClick={() => set({ cron: known.value })}>
            {known.label}
          </Button>
        ))}
      </Group>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <TextInput label="Cron" description="Minute, hour, day, month, weekday" className="mono" required value={schedule.cron ?? ''} onChange={(event) => set({ cron: event.currentTarget.value })} />
        <Select label="Time zone" description="Daylight saving is observed" searchable data={[...new Set(zones)]} value={schedule.time_zone ?? 'UTC'} onChange={(zone) => set({ time_zone: zone ?? 'UTC' })} />
      </SimpleGrid>
      <Group gap="lg">
        <div>
          <Text size="sm" id="missed">
            Times that were missed
          </Text>
          <SegmentedControl size="xs" aria-labelledby="missed" data={[{ value: 'skip', label: 'are left out' }, { value: 'run_once', label: 'become one run' }]} value={schedule.missed ?? 'skip'} onChange={(missed) => set({ missed: missed as ScheduleSpec['missed'] })} />
        </div>
        <div>
          <Text size="sm" id="overlap">
            While the run before goes on
          </Text>
          <SegmentedControl size="xs" aria-labelledby="overlap" data={[{ value: 'skip', label: 'leave it out' }, { value: 'queue', label: 'wait for its end' }]} value={schedule.overlap ?? 'skip'} onChange={(overlap) => set({ overlap: overlap as ScheduleSpec['overlap'] })} />
        </div>
      </Group>
      <Switch label="Paused: do not start runs by itself for now" checked={schedule.paused ?? false} onChange={(event) => set({ paused: event.currentTarget.checked })} />
      <Text size="sm" c="dimmed" role="status">
        {schedule.run_as && `Runs as ${schedule.run_as}. `}{schedule.paused && 'Paused. '}
        {nextRunAt ? <>Next: <Time at={nextRunAt} /></> : 'Save to see when it runs next.'}
      </Text>
      <div>
        <Button size="xs" variant="default" onClick={() => onChange(null)}>
          Remove the schedule
        </Button>
      </div>
    </Stack>
  );
}
