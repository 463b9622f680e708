/// What can be reached, as pickers show it: names with their health in words, and an icon in colour beside them.
import { type ComboboxItem, type ComboboxLikeRenderOptionInput, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconHelpCircle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type Schema, api, call } from '../client/api';

/// Health changes by itself, so it is asked for while somebody looks.
const EVERY_MS = 15_000;

export const useRegions = () => useQuery({ queryKey: ['regions'], queryFn: () => call(api.GET('/api/v1/regions')), refetchInterval: EVERY_MS });

export const useServices = (region: string) =>
  useQuery({
    queryKey: ['regions', region, 'services'],
    enabled: region !== '',
    queryFn: () => call(api.GET('/api/v1/regions/{region}/services', { params: { path: { region } } })),
    refetchInterval: EVERY_MS,
  });

export const useInstances = (region: string, service: string) =>
  useQuery({
    queryKey: ['regions', region, 'services', service],
    enabled: region !== '' && service !== '',
    queryFn: () => call(api.GET('/api/v1/regions/{region}/services/{service}/instances', { params: { path: { region, service } } })),
    refetchInterval: EVERY_MS,
  });

type Level = 'good' | 'partly' | 'bad' | 'unknown';

/// An item of a picker.
export interface HealthItem extends ComboboxItem {
  level?: Level;
  /// Its health in words.
  says?: string;
}

const LEVELS: Record<string, Level> = { healthy: 'good', unhealthy: 'bad' };
const ICONS = { good: IconCircleCheck, partly: IconAlertTriangle, bad: IconCircleX, unknown: IconHelpCircle };

/// The items of each picker.
export const healthOf = {
  regions: (list: Schema<'List_Region'> | undefined): HealthItem[] =>
    (list?.items ?? []).map(({ name, health }) => ({ value: name, label: name, level: LEVELS[health] ?? 'unknown', says: health })),
  services: (list: Schema<'List_Service'> | undefined): HealthItem[] =>
    (list?.items ?? []).map(({ name, healthy, instances }) => ({
      value: name,
      label: name,
      level: healthy === instances ? 'good' : healthy === 0 ? 'bad' : 'partly',
      says: `${healthy} of ${instances} healthy`,
    })),
  instances: (list: Schema<'List_Instance'> | undefined): HealthItem[] =>
    (list?.items ?? []).map(({ id, health }) => ({ value: id, label: id, level: LEVELS[health] ?? 'unknown', says: health })),
};

/// The icon of a level. What it says stands beside it in words, so it is hidden from assistive technology.
export function HealthIcon({ level }: { level: Level }) {
  const Icon = ICONS[level];
  return <Icon size={15} className="health" data-level={level} aria-hidden />;
}

/// An option with its health.
export function HealthOption({ option }: ComboboxLikeRenderOptionInput<ComboboxItem>) {
  const { label, level, says } = option as HealthItem;
  return (
    <Group gap={8} wrap="nowrap" w="100%">
      {level !== undefined && <HealthIcon level={level} />}
      <Text size="sm" truncate>
        {label}
      </Text>
      {says !== undefined && (
        <Text size="xs" c="dimmed" ml="auto" style={{ whiteSpace: 'nowrap' }}>
          {says}
        </Text>
      )}
    </Group>
  );
}
